//! `GET /openapi.json`: an OpenAPI 3.1 description of what is served, written from the table of routes (`routes.rs`), the
//! [table of parameters](crate::parameters::table) and the types of the documents.

use axum::extract::Extension;
use axum::response::Json;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::error::ErrorBody;
use crate::http::BaseUrl;
use crate::parameters::value::Kind;
use crate::parameters::{Effect, PARAMETERS, Parameter, Place};
use crate::routes::{Answer, Content, Credentials, Operation, Query, RequestBody, operations};

/// Makes the schema of a document.
pub(crate) type Schema = fn(&mut SchemaGenerator) -> schemars::Schema;

/// The schema of `T`, as a member of the table of routes.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<T>()
}

/// The types of audio (audio-formats: `application/octet-stream` is found out from the first bytes).
const MEDIA_TYPES: [&str; 12] = [
    "application/octet-stream",
    "audio/alaw",
    "audio/basic",
    "audio/flac",
    "audio/g729",
    "audio/l16",
    "audio/mp3",
    "audio/mpeg",
    "audio/mulaw",
    "audio/ogg",
    "audio/wav",
    "audio/webm",
];

/// Statuses with which any operation may fail.
const ALWAYS: [u16; 2] = [500, 503];

/// The route.
pub(crate) async fn serve(Extension(BaseUrl(url)): Extension<BaseUrl>) -> Json<Value> {
    Json(document(&url))
}

/// The description of a server that clients reach at `url`.
pub fn document(url: &str) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|it| it.definitions_path = "/components/schemas".into())
        .into_generator();
    let error = generator.subschema_for::<ErrorBody<'static>>();
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.verb.name()] = describe(operation, &mut generator);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dictum",
            "summary": "Speech to text with the interface of IBM Watson Speech to Text v1",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": url }],
        "tags": [
            { "name": "watson", "description": "The interface of Watson Speech to Text" },
            { "name": "server", "description": "The server itself" },
        ],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": { "Error": {
                "description": "An error",
                "headers": headers(),
                "content": { "application/json": { "schema": error } },
            } },
            "headers": { "TransactionId": {
                "description": "The id of the request, in the log too: the one it came with, or a new one",
                "schema": { "type": "string" },
            } },
            "parameters": request_headers().into_iter().collect::<Map<_, _>>(),
            "securitySchemes": {
                "Basic": { "type": "http", "scheme": "basic", "description": "Any user name, as a rule apikey, and an API key" },
                "Bearer": { "type": "http", "scheme": "bearer", "description": "A token or an API key" },
                "AccessToken": { "type": "apiKey", "in": "query", "name": "access_token", "description": "A token" },
                "WatsonToken": { "type": "apiKey", "in": "query", "name": "watson-token", "description": "A token" },
            },
        },
    })
}

/// Headers that every request of the interface may have, by the name they are referred to.
fn request_headers() -> [(String, Value); 3] {
    let header = |reference: &str, name: &str, description: &str, schema: Value| {
        (reference.to_owned(), json!({ "name": name, "in": "header", "description": description, "schema": schema }))
    };
    [
        header(
            "TransactionId",
            "X-Global-Transaction-Id",
            "An id of the client's for the request",
            json!({
                "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$",
            }),
        ),
        header(
            "LearningOptOut",
            "X-Watson-Learning-Opt-Out",
            "Accepted; requests are not logged in any case",
            json!({
                "type": "string",
            }),
        ),
        header(
            "Metadata",
            "X-Watson-Metadata",
            "customer_id=ID: a label for what the request stores",
            json!({
                "type": "string",
            }),
        ),
    ]
}

fn headers() -> Value {
    json!({ "X-Global-Transaction-Id": { "$ref": "#/components/headers/TransactionId" } })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for answer in operation.answers {
        responses.insert(answer.status.to_string(), response(answer, generator));
    }
    for status in operation.refusals.iter().chain(&ALWAYS) {
        responses.insert(status.to_string(), json!({ "$ref": "#/components/responses/Error" }));
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [if operation.is_watson() { "watson" } else { "server" }],
        "parameters": parameters(operation),
        "responses": responses,
    });
    match operation.body {
        RequestBody::None => {}
        RequestBody::Audio => described["requestBody"] = audio(true),
        RequestBody::BareAudio => described["requestBody"] = audio(false),
        RequestBody::Fields { media, names } => {
            let properties: Map<String, Value> =
                names.iter().map(|name| ((*name).to_owned(), json!({ "type": ["string", "null"] }))).collect();
            let schema = json!({ "type": "object", "properties": properties });
            described["requestBody"] = json!({ "required": true, "content": { media: { "schema": schema } } });
        }
        RequestBody::Object => {
            let content = json!({ "application/json": { "schema": { "type": "object" } } });
            described["requestBody"] = json!({ "required": true, "content": content });
        }
        RequestBody::Text(types) => {
            let content: Map<String, Value> = types.iter().map(|media| ((*media).to_owned(), json!({}))).collect();
            described["requestBody"] = json!({ "required": true, "content": content });
        }
    }
    let schemes: &[&str] = match operation.credentials {
        Credentials::None => &[],
        Credentials::Header => &["Basic", "Bearer"],
        Credentials::HeaderOrQuery => &["Basic", "Bearer", "AccessToken", "WatsonToken"],
    };
    described["security"] = schemes.iter().map(|scheme| json!({ *scheme: [] })).collect();
    described
}

fn response(answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    let (media, schema) = match answer.content {
        Content::Json(schema) => ("application/json", json!(schema(generator))),
        Content::Object => ("application/json", json!({ "type": "object" })),
        Content::Text(media) => (media, json!({ "type": "string" })),
        Content::Nothing => return json!({ "description": answer.meaning, "headers": headers() }),
    };
    json!({
        "description": answer.meaning,
        "headers": headers(),
        "content": { media: { "schema": schema } },
    })
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let in_path = operation.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    match operation.query {
        Query::None => {}
        Query::Recognition(place) => {
            all.extend(PARAMETERS.iter().filter(|parameter| parameter.places.contains(&place)).map(in_query));
        }
        Query::Named(parameters) => all.extend(parameters.iter().map(|parameter| {
            json!({
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.meaning,
                "schema": { "type": "string" },
            })
        })),
    }
    if operation.is_watson() {
        let shared = request_headers();
        all.extend(shared.iter().map(|(name, _)| json!({ "$ref": format!("#/components/parameters/{name}") })));
    }
    all
}

fn in_query(parameter: &Parameter) -> Value {
    let mut described = json!({
        "name": parameter.name,
        "in": "query",
        "description": description(parameter),
        "schema": schema(parameter.kind),
    });
    if matches!(parameter.kind, Kind::List { .. }) {
        // Separated by commas.
        described["style"] = json!("form");
        described["explode"] = json!(false);
    }
    described
}

fn description(parameter: &Parameter) -> String {
    let pending = match parameter.effect {
        Effect::Works => "",
        Effect::Pending(_) => " Without effect so far.",
    };
    format!("{} Default: {}.{pending}", parameter.doc.trim(), parameter.default)
}

/// The schema of a parameter's values.
fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer { least, most, except } => {
            let mut schema = json!({ "type": "integer", "minimum": least });
            if most < i64::MAX {
                schema["maximum"] = json!(most);
            }
            if let Some(except) = except {
                schema["not"] = json!({ "const": except });
            }
            schema
        }
        Kind::Number { least, most } => {
            let mut schema = json!({ "type": "number", "minimum": least });
            if most < f64::MAX {
                schema["maximum"] = json!(most);
            }
            schema
        }
        Kind::Text { longest } => json!({ "type": "string", "maxLength": longest }),
        Kind::Guid => json!({ "type": "string", "format": "uuid" }),
        Kind::List { items, longest } => {
            json!({ "type": "array", "maxItems": items, "items": { "type": "string", "maxLength": longest } })
        }
    }
}

/// A body of audio: bare, or also in a form behind its metadata.
fn audio(form_too: bool) -> Value {
    let mut content: Map<String, Value> = MEDIA_TYPES.iter().map(|media| ((*media).to_owned(), json!({}))).collect();
    if form_too {
        content.insert("multipart/form-data".to_owned(), json!({ "schema": form() }));
    }
    json!({
        "required": true,
        "description": "Audio; types without a sampling rate of their own (audio/l16, audio/alaw, audio/mulaw) need ;rate=HZ",
        "content": content,
    })
}

/// A form of metadata and audio.
fn form() -> Value {
    let mut metadata: Map<String, Value> = PARAMETERS
        .iter()
        .filter(|parameter| parameter.places.contains(&Place::Metadata))
        .map(|parameter| {
            let mut schema = schema(parameter.kind);
            schema["description"] = json!(description(parameter));
            (parameter.name.to_owned(), schema)
        })
        .collect();
    metadata
        .insert("part_content_type".to_owned(), json!({ "type": "string", "description": "Type of the audio parts" }));
    metadata
        .insert("data_parts_count".to_owned(), json!({ "type": "integer", "description": "Number of audio parts" }));
    json!({
        "type": "object",
        "required": ["metadata", "upload"],
        "properties": {
            "metadata": { "type": "object", "properties": metadata },
            "upload": { "type": "array", "minItems": 1, "items": { "contentMediaType": "application/octet-stream" } },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dictum_audio::ContentType;

    use super::*;

    #[test]
    fn the_types_of_audio_are_accepted() {
        for media in MEDIA_TYPES {
            ContentType::parse(Some(&format!("{media};rate=8000"))).unwrap_or_else(|error| panic!("{media}: {error}"));
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document("http://127.0.0.1:8080");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let mut names: Vec<_> = operations().map(|operation| operation.id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), operations().count());
    }

    #[test]
    fn the_file_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let wanted = serde_json::to_string_pretty(&document("http://127.0.0.1:8080")).unwrap() + "\n";
        if std::env::var_os("DICTUM_WRITE_DOCS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/openapi.json does not match the tables: write it anew with DICTUM_WRITE_DOCS=1 cargo test -p dictum-watson up_to_date"
        );
    }
}
