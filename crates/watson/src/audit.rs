//! The audit log: who did what to what is kept, one event a call (backup.md section 5).
//!
//! Events go to the log under the target `audit`, whatever its level. They name calls, instances, keys and ids, and count what was
//! removed; never URLs, labels or contents.

use std::collections::HashMap;

use axum::extract::{Extension, Path, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use dictum_service::accounts::Principal;

/// The calls, by the names of IBM's activity tracking without `speech-to-text.`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    CreateJob,
    ListJobs,
    ReadJob,
    DeleteJob,
    RegisterCallback,
    UnregisterCallback,
    DeleteUserData,
}

impl Call {
    fn event(self) -> &'static str {
        match self {
            Call::CreateJob => "speech-to-text.async-recognition-job.create",
            Call::ListJobs => "speech-to-text.async-recognition-job-list.read",
            Call::ReadJob => "speech-to-text.async-recognition-job.read",
            Call::DeleteJob => "speech-to-text.async-recognition-job.delete",
            Call::RegisterCallback => "speech-to-text.async-recognition-notification-url.create",
            Call::UnregisterCallback => "speech-to-text.async-recognition-notification-url.delete",
            Call::DeleteUserData => "speech-to-text.gdpr-user-data.delete",
        }
    }
}

/// A call that was done. `id`: what it was about, where that has one. (The transaction id is in the span.)
pub(crate) fn done(call: Call, principal: &Principal, id: Option<&str>) {
    let Principal { instance, key } = principal;
    tracing::info!(target: "audit", event = call.event(), instance, key, id, "done");
}

/// A deletion of a customer's data, and how much of each kind there was.
pub(crate) fn deleted(principal: &Principal, removed: &dictum_store::Removed) {
    let Principal { instance, key } = principal;
    let dictum_store::Removed { recognitions, callbacks, resources, words } = *removed;
    let event = Call::DeleteUserData.event();
    tracing::info!(target: "audit", event, instance, key, recognitions, callbacks, resources, words, "done");
}

/// The id of what a call has made, for the event about it: put into the extensions of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Made(pub(crate) String);

/// The event of an operation about custom models, by its id in the [table of routes](crate::routes).
pub(crate) fn of_customization(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "createLanguageModel" => "speech-to-text.custom-language-model.create",
        "listLanguageModels" => "speech-to-text.custom-language-model-list.read",
        "getLanguageModel" => "speech-to-text.custom-language-model.read",
        "deleteLanguageModel" => "speech-to-text.custom-language-model.delete",
        "trainLanguageModel" => "speech-to-text.custom-language-model.train",
        "resetLanguageModel" => "speech-to-text.custom-language-model.reset",
        "upgradeLanguageModel" => "speech-to-text.custom-language-model.upgrade",
        "listCorpora" => "speech-to-text.custom-language-model-corpus-list.read",
        "addCorpus" => "speech-to-text.custom-language-model-corpus.create",
        "getCorpus" | "getCorpusText" => "speech-to-text.custom-language-model-corpus.read",
        "deleteCorpus" => "speech-to-text.custom-language-model-corpus.delete",
        "listGrammars" => "speech-to-text.custom-language-model-grammar-list.read",
        "addGrammar" => "speech-to-text.custom-language-model-grammar.create",
        "getGrammar" | "getGrammarText" => "speech-to-text.custom-language-model-grammar.read",
        "deleteGrammar" => "speech-to-text.custom-language-model-grammar.delete",
        "listWords" => "speech-to-text.custom-language-model-word-list.read",
        "addWords" => "speech-to-text.custom-language-model-word-list.create",
        "addWord" => "speech-to-text.custom-language-model-word.create",
        "getWord" => "speech-to-text.custom-language-model-word.read",
        "deleteWord" => "speech-to-text.custom-language-model-word.delete",
        _ => return None,
    })
}

/// Tells of a call about custom models when it was done. The model's id alone: names of corpora and words are contents.
pub(crate) async fn note(
    State(event): State<&'static str>,
    Extension(principal): Extension<Principal>,
    Path(path): Path<HashMap<String, String>>,
    request: Request,
    next: Next,
) -> Response {
    let answer = next.run(request).await;
    if answer.status().is_success() {
        let made = answer.extensions().get::<Made>().map(|Made(id)| id.as_str());
        // In the form in which it was made, whatever the client wrote.
        let named = path.get("customization_id").map(|id| id.to_ascii_lowercase());
        let Principal { instance, key } = &principal;
        tracing::info!(target: "audit", event, instance, key, id = made.or(named.as_deref()), "done");
    }
    answer
}

#[cfg(test)]
mod tests {
    use crate::routes::operations;

    /// backup.md section 5: one event a call.
    #[test]
    fn every_call_about_custom_models_has_an_event() {
        let calls = operations().filter(|operation| operation.path.starts_with("/v1/customizations"));
        let silent: Vec<&str> =
            calls.map(|operation| operation.id).filter(|id| super::of_customization(id).is_none()).collect();
        assert!(silent.is_empty(), "{silent:?}");
    }
}
