//! One measured figure, beside what PostgreSQL itself reached in the same run.

use serde::Serialize;

use crate::table;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// More is better.
    PerSecond,
    /// Less is better.
    Seconds,
    /// Less is better.
    Milliseconds,
    /// Less is better. 1,024 bytes.
    Kilobytes,
    /// Less is better. 1,024 kilobytes.
    Megabytes,
    /// Less is better.
    Count,
    /// Less is better. Of one core.
    Percent,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: Unit,
    /// What it is measured against; none for PostgreSQL's own figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// 1 is as good as PostgreSQL itself, 0.5 half as good, whatever the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

impl Figure {
    pub fn of(what: &str, unit: Unit, value: f64) -> Self {
        Self { what: what.to_owned(), value, unit, against: None, ratio: None }
    }

    pub fn rate(what: &str, count: u32, took: std::time::Duration) -> Self {
        Self::of(what, Unit::PerSecond, f64::from(count) / took.as_secs_f64())
    }

    pub fn seconds(what: &str, took: std::time::Duration) -> Self {
        Self::of(what, Unit::Seconds, took.as_secs_f64())
    }

    pub fn per_second(what: &str, rate: f64) -> Self {
        Self::of(what, Unit::PerSecond, rate)
    }

    /// Compares it with a figure of the same unit.
    #[must_use]
    pub fn against(self, limit: &Self) -> Self {
        let ratio = match self.unit {
            Unit::PerSecond => self.value / limit.value,
            Unit::Seconds
            | Unit::Milliseconds
            | Unit::Kilobytes
            | Unit::Megabytes
            | Unit::Count
            | Unit::Percent => limit.value / self.value,
        };
        Self { against: Some(limit.what.clone()), ratio: Some(ratio), ..self }
    }

    fn cells(&self) -> Vec<String> {
        let value = match self.unit {
            Unit::PerSecond => format!("{:.0} /s", self.value),
            Unit::Seconds => format!("{:.2} s", self.value),
            Unit::Milliseconds => format!("{:.1} ms", self.value),
            Unit::Kilobytes => format!("{:.1} kB", self.value),
            Unit::Megabytes => format!("{:.1} MB", self.value),
            Unit::Count => format!("{:.2}", self.value),
            Unit::Percent => format!("{:.2} %", self.value),
        };
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        vec![self.what.clone(), value, ratio, self.against.clone().unwrap_or_default()]
    }
}

pub fn as_table(figures: &[Figure]) -> String {
    let head = ["", "", "ratio", "against"].map(str::to_owned).to_vec();
    table::write(&[vec![head], figures.iter().map(Figure::cells).collect()].concat())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn half_as_good_is_half_whether_more_or_less_is_better() {
        let rate = Figure::rate("a", 50, Duration::from_secs(1));
        let ratio = rate.against(&Figure::rate("b", 100, Duration::from_secs(1))).ratio;
        assert!((ratio.unwrap() - 0.5).abs() < 1e-9);
        let time = Figure::seconds("a", Duration::from_secs(4));
        let ratio = time.against(&Figure::seconds("b", Duration::from_secs(2))).ratio;
        assert!((ratio.unwrap() - 0.5).abs() < 1e-9);
    }
}
