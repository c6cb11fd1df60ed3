//! Records the last database statement that was answered on this thread, so that a trace says where a process died.

use std::{cell::RefCell, fmt::Debug};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

pub(crate) fn forget() {
    LAST.set(None);
}

/// The beginning of the statement that was answered since `forget`.
pub(crate) fn last() -> Option<String> {
    LAST.with_borrow(|last| {
        last.as_ref().map(|last| last.split_whitespace().take(4).collect::<Vec<_>>().join(" "))
    })
}

/// Subscribes to the log of sqlx, which reports each answered statement: COMMIT is among them, BEGIN is not.
pub(crate) struct StatementRecorder;

impl Subscriber for StatementRecorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Summary);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Summary;

impl Visit for Summary {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            LAST.set(Some(value.to_owned()));
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
