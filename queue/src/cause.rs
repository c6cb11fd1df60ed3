//! What causes the jobs that a task makes: a W3C traceparent, handed on from the request to its jobs and to theirs.

tokio::task_local! {
    static CAUSE: Option<String>;
}

/// Does `work`; every [`NewJob`](crate::NewJob) that it makes carries this W3C traceparent. Tasks it spawns do not inherit it.
pub async fn caused_by<F: Future>(traceparent: Option<String>, work: F) -> F::Output {
    CAUSE.scope(traceparent, work).await
}

/// The traceparent of what caused the current work, for rows that are written without a [`NewJob`](crate::NewJob).
pub fn cause() -> Option<String> {
    CAUSE.try_with(Clone::clone).ok().flatten()
}
