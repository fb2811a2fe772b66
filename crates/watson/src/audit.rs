//! The audit log: who did what to what is kept, one event a call (backup.md section 5).
//!
//! Events go to the log under the target `audit`, whatever its level. They name calls, instances, keys and ids, and count what was
//! removed; never URLs, labels or contents.

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
