//! The trace of a seed: one line per event, without anything that differs between two runs (ids, real time).

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use chrono_tz::Asia::Seoul;
use serde_json::Value;
use uuid::Uuid;

use crate::simulation::Simulation;

/// Clones share the lines, so that the trace survives a panic in the middle of a seed.
#[derive(Clone, Default)]
pub(crate) struct Trace {
    lines: Arc<Mutex<Vec<String>>>,
    at: Arc<Mutex<DateTime<Utc>>>,
    /// Prints each line at once.
    prints: bool,
}

impl Trace {
    pub(crate) fn new(prints: bool) -> Self {
        Self { prints, ..Self::default() }
    }

    /// Sets the time that the next lines carry. The seconds that steps take are left out.
    pub(crate) fn set_time(&self, at: DateTime<Utc>) {
        *self.at.lock().unwrap() = at;
    }

    pub(crate) fn record(&self, line: impl AsRef<str>) {
        let at = self.at.lock().unwrap().with_timezone(&Seoul).format("%Y-%m-%d %H:%M:%S");
        let line = format!("{at} {}", line.as_ref());
        if self.prints {
            println!("{line}");
        }
        self.lines.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

/// Writes the order id `AUTO_<subscription>_<period>_<attempt>` as `s1/p2/a3`.
pub(crate) fn order_label(simulation: &Simulation<'_>, order_id: &str) -> String {
    let Some(rest) = order_id.strip_prefix("AUTO_") else {
        return if order_id.starts_with("ORDER_") { order_id.to_owned() } else { "a payment".to_owned() };
    };
    let mut parts = rest.split('_');
    let id = parts.next().and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    format!("{}/p{}", customer_label(simulation, id), rest.join("/a"))
}

/// Writes whom a job is for, by its args, without ids.
pub(crate) fn job_label(simulation: &Simulation<'_>, args: &Value) -> String {
    let id = args["subscriptionId"].as_str().and_then(|id| Uuid::try_parse(id).ok());
    id.map_or_else(
        || args["date"].as_str().unwrap_or_default().to_owned(),
        |id| customer_label(simulation, id),
    )
}

/// Writes a subscription as `s1`: the second customer of the seed.
pub(crate) fn customer_label(simulation: &Simulation<'_>, subscription_id: Uuid) -> String {
    let number = simulation.customers.iter().position(|customer| customer.subscription_id == subscription_id);
    number.map_or_else(|| "nobody".to_owned(), |number| format!("s{number}"))
}
