//! The table of routes: what is served, and what the documents say about it.
//!
//! The router is built from it and `GET /openapi.json` is written from it, so nothing is served that is not documented, and
//! nothing documented that is not served.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

use crate::credentials::{self, Guard, tokens};
use crate::documents::{SpeechModel, SpeechModels, SpeechRecognitionResults};
use crate::openapi::{Schema, schema_of};
use crate::parameters::Place;
use crate::recognitions::documents::{RecognitionJob, RecognitionJobs, RegisterStatus};
use crate::{
    App, audit, callbacks, customizations, health, http, models, openapi, recognitions, recognize, user_data, websocket,
};

/// One method on one path.
pub(crate) struct Operation {
    pub(crate) verb: Verb,
    /// As axum and OpenAPI both write it: `/v1/models/{model_id}`.
    pub(crate) path: &'static str,
    /// The name that clients are generated with; the one IBM's SDKs use where there is one.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) credentials: Credentials,
    pub(crate) query: Query,
    pub(crate) body: RequestBody,
    /// What it is answered when it succeeds.
    pub(crate) answers: &'static [Answer],
    /// The statuses with which it may fail, besides those of every operation.
    pub(crate) refusals: &'static [u16],
    pub(crate) handler: fn() -> MethodRouter<App>,
}

/// The methods there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    /// As OpenAPI writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Post => "post",
            Verb::Put => "put",
            Verb::Delete => "delete",
        }
    }
}

/// Whether an operation wants to know who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// It does not, or asks in a way of its own.
    None,
    /// In the `Authorization` header.
    Header,
    /// There, or as a token in the query, for browsers that cannot set headers (AUTH-10).
    HeaderOrQuery,
}

/// What an operation takes in its query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Query {
    /// Nothing of its own.
    None,
    /// The recognition parameters of this place.
    Recognition(Place),
    /// These and nothing else.
    Named(&'static [Named]),
}

/// A parameter in the query of an operation that has few.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) meaning: &'static str,
}

/// What an operation takes in its body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RequestBody {
    None,
    /// Audio of any type, or a form of metadata and audio.
    Audio,
    /// Audio of any type.
    BareAudio,
    /// Texts by name, in a document of this type.
    Fields {
        media: &'static str,
        names: &'static [&'static str],
    },
    /// A JSON object.
    Object,
    /// A text of one of these types.
    Text(&'static [&'static str]),
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) meaning: &'static str,
    pub(crate) content: Content,
}

/// What is in an answer.
pub(crate) enum Content {
    /// A document with this schema.
    Json(Schema),
    /// Some JSON object.
    Object,
    /// Text of this type.
    Text(&'static str),
    Nothing,
}

impl Operation {
    /// Whether it belongs to the Watson interface, with its parameters and headers: all that wants credentials does.
    pub(crate) fn is_watson(&self) -> bool {
        self.credentials != Credentials::None
    }

    /// Whether it changes what is kept (BAK-2): recognition at once keeps nothing.
    fn modifies(&self) -> bool {
        self.is_watson() && self.verb != Verb::Get && self.id != "recognize"
    }
}

pub(crate) const fn ok(meaning: &'static str, content: Content) -> Answer {
    Answer { status: 200, meaning, content }
}

/// The key may be either of the last two.
const CLOUD_PAK_BODY: RequestBody =
    RequestBody::Fields { media: "application/json", names: &["username", "password", "api_key"] };

const CALLBACK_URL: Named =
    Named { name: "callback_url", required: true, meaning: "An http or https URL that is told what happens to jobs" };

/// Everything that is served.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(customizations::routes::OPERATIONS)
}

static OPERATIONS: &[Operation] = &[
    Operation {
        verb: Verb::Get,
        path: "/v1/models",
        id: "listModels",
        summary: "The models that are installed",
        credentials: Credentials::HeaderOrQuery,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("The models", Content::Json(schema_of::<SpeechModels>))],
        refusals: &[401, 406],
        handler: || get(models::list),
    },
    Operation {
        verb: Verb::Get,
        path: "/v1/models/{model_id}",
        id: "getModel",
        summary: "One model",
        credentials: Credentials::HeaderOrQuery,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("The model", Content::Json(schema_of::<SpeechModel>))],
        refusals: &[401, 404, 406],
        handler: || get(models::one),
    },
    Operation {
        verb: Verb::Post,
        path: "/v1/recognize",
        id: "recognize",
        summary: "A transcript of the audio in the body",
        credentials: Credentials::Header,
        query: Query::Recognition(Place::Query),
        body: RequestBody::Audio,
        answers: &[ok(
            "The transcript. An answer that takes long begins with spaces; an error that comes after them is an object \
             as for other errors, under status 200",
            Content::Json(schema_of::<SpeechRecognitionResults>),
        )],
        refusals: &[400, 401, 404, 406, 408, 413, 415],
        handler: || post(recognize::recognize),
    },
    Operation {
        verb: Verb::Post,
        path: "/v1/register_callback",
        id: "registerCallback",
        summary: "Registers a URL that jobs may name, once its server has given back a challenge string",
        credentials: Credentials::Header,
        query: Query::Named(&[
            CALLBACK_URL,
            Named {
                name: "user_secret",
                required: false,
                meaning: "What requests to the URL are signed with: X-Callback-Signature is the base64 of an HMAC",
            },
        ]),
        body: RequestBody::None,
        answers: &[
            ok("It was registered before", Content::Json(schema_of::<RegisterStatus>)),
            Answer { status: 201, meaning: "It is registered", content: Content::Json(schema_of::<RegisterStatus>) },
        ],
        refusals: &[400, 401, 406],
        handler: || post(callbacks::register),
    },
    Operation {
        verb: Verb::Post,
        path: "/v1/unregister_callback",
        id: "unregisterCallback",
        summary: "Takes a callback URL off the list",
        credentials: Credentials::Header,
        query: Query::Named(&[CALLBACK_URL]),
        body: RequestBody::None,
        answers: &[ok("It is off the list", Content::Nothing)],
        refusals: &[400, 401, 404],
        handler: || post(callbacks::unregister),
    },
    Operation {
        verb: Verb::Post,
        path: "/v1/recognitions",
        id: "createJob",
        summary: "A job that transcribes the audio in the body",
        credentials: Credentials::Header,
        query: Query::Recognition(Place::JobQuery),
        body: RequestBody::BareAudio,
        answers: &[Answer { status: 201, meaning: "The job", content: Content::Json(schema_of::<RecognitionJob>) }],
        refusals: &[400, 401, 404, 406, 408, 413, 415],
        handler: || post(recognitions::create),
    },
    Operation {
        verb: Verb::Get,
        path: "/v1/recognitions",
        id: "checkJobs",
        summary: "The latest 100 jobs, newest first",
        credentials: Credentials::Header,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("The jobs", Content::Json(schema_of::<RecognitionJobs>))],
        refusals: &[401, 406],
        handler: || get(recognitions::list),
    },
    Operation {
        verb: Verb::Get,
        path: "/v1/recognitions/{id}",
        id: "checkJob",
        summary: "A job, with its results when it is completed",
        credentials: Credentials::Header,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("The job", Content::Json(schema_of::<RecognitionJob>))],
        refusals: &[401, 404, 406],
        handler: || get(recognitions::one),
    },
    Operation {
        verb: Verb::Delete,
        path: "/v1/recognitions/{id}",
        id: "deleteJob",
        summary: "Deletes a job that is not being processed",
        credentials: Credentials::Header,
        query: Query::None,
        body: RequestBody::None,
        answers: &[Answer { status: 204, meaning: "It is deleted", content: Content::Nothing }],
        refusals: &[400, 401, 404],
        handler: || delete(recognitions::delete),
    },
    Operation {
        verb: Verb::Delete,
        path: "/v1/user_data",
        id: "deleteUserData",
        summary: "Deletes everything that is labelled with a customer id",
        credentials: Credentials::Header,
        query: Query::Named(&[Named {
            name: "customer_id",
            required: true,
            meaning: "As in the X-Watson-Metadata headers of the requests that stored it",
        }]),
        body: RequestBody::None,
        answers: &[ok("It is deleted, if there was any", Content::Object)],
        refusals: &[400, 401],
        handler: || delete(user_data::delete),
    },
    Operation {
        verb: Verb::Post,
        path: "/identity/token",
        id: "iamToken",
        summary: "A token for an API key, as IBM Cloud gives it",
        credentials: Credentials::None,
        query: Query::None,
        body: RequestBody::Fields { media: "application/x-www-form-urlencoded", names: &["grant_type", "apikey"] },
        answers: &[
            ok("The token", Content::Object),
            Answer { status: 400, meaning: "The key is not known, or something is missing", content: Content::Object },
        ],
        refusals: &[413],
        handler: || post(tokens::iam),
    },
    Operation {
        verb: Verb::Post,
        path: "/v1/authorize",
        id: "authorize",
        summary: "A token for an API key, as Cloud Pak for Data gives it",
        credentials: Credentials::None,
        query: Query::None,
        body: CLOUD_PAK_BODY,
        answers: &[ok("The token", Content::Object)],
        refusals: &[400, 401, 413],
        handler: || post(tokens::cloud_pak),
    },
    Operation {
        verb: Verb::Post,
        path: "/icp4d-api/v1/authorize",
        id: "icp4dAuthorize",
        summary: "The same under its other path",
        credentials: Credentials::None,
        query: Query::None,
        body: CLOUD_PAK_BODY,
        answers: &[ok("The token", Content::Object)],
        refusals: &[400, 401, 413],
        handler: || post(tokens::cloud_pak),
    },
    Operation {
        verb: Verb::Get,
        path: "/v1/preauth/validateAuth",
        id: "validateAuth",
        summary: "The same for older clients, with the key in a Basic Authorization header",
        credentials: Credentials::None,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("The token", Content::Object)],
        refusals: &[401],
        handler: || get(tokens::former_cloud_pak),
    },
    Operation {
        verb: Verb::Get,
        path: "/v1/recognize",
        id: "recognizeUsingWebSocket",
        summary: "Transcripts of audio while it is spoken, over a WebSocket",
        credentials: Credentials::HeaderOrQuery,
        query: Query::Recognition(Place::SocketQuery),
        body: RequestBody::None,
        answers: &[Answer {
            status: 101,
            meaning: "The WebSocket is open: `start`, audio and `stop` go in, results come out",
            content: Content::Nothing,
        }],
        refusals: &[400, 401, 404, 426],
        handler: || get(websocket::connect),
    },
    Operation {
        verb: Verb::Get,
        path: "/health/live",
        id: "live",
        summary: "Whether the process answers",
        credentials: Credentials::None,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("It does", Content::Object)],
        refusals: &[],
        handler: || get(health::live),
    },
    Operation {
        verb: Verb::Get,
        path: "/health/ready",
        id: "ready",
        summary: "Whether the models are loaded and requests are taken",
        credentials: Credentials::None,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("They are", Content::Object)],
        refusals: &[],
        handler: || get(health::ready),
    },
    Operation {
        verb: Verb::Get,
        path: "/metrics",
        id: "metrics",
        summary: "Figures for Prometheus; answered where the configuration allows it",
        credentials: Credentials::None,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("The figures", Content::Text(crate::telemetry::OPEN_METRICS))],
        refusals: &[404],
        handler: || get(health::metrics),
    },
    Operation {
        verb: Verb::Get,
        path: "/openapi.json",
        id: "openApi",
        summary: "This document",
        credentials: Credentials::None,
        query: Query::None,
        body: RequestBody::None,
        answers: &[ok("An OpenAPI 3.1 document", Content::Object)],
        refusals: &[],
        handler: || get(openapi::serve),
    },
];

/// The router of the table. Those that want credentials are behind the check of them.
pub(crate) fn router(app: &App) -> Router<App> {
    operations().fold(Router::new(), |router, operation| {
        let handler = (operation.handler)();
        let handler = match audit::of_customization(operation.id) {
            Some(event) => handler.route_layer(from_fn_with_state(event, audit::note)),
            None => handler,
        };
        let handler = match app.config.read_only && operation.modifies() {
            true => handler.route_layer(from_fn_with_state(app.clone(), http::refuse_modification)),
            false => handler,
        };
        let handler = match operation.credentials {
            Credentials::None => handler,
            wanted => {
                let guard = Guard { app: app.clone(), query_too: wanted == Credentials::HeaderOrQuery };
                handler.route_layer(from_fn_with_state(guard, credentials::require))
            }
        };
        router.route(operation.path, handler)
    })
}

/// The route of a request as a label: its path in the table, whatever the client wrote.
pub(crate) fn label(matched: Option<&str>) -> &'static str {
    let known = operations().map(|operation| operation.path).find(|path| Some(*path) == matched);
    known.unwrap_or("none")
}

/// Whether requests of a route come every few seconds from a supervisor, and are no news.
pub(crate) fn is_probe(route: &str) -> bool {
    matches!(route, "/health/live" | "/health/ready" | "/metrics")
}
