//! Draws curves over a logarithmic axis of rows as an SVG, for the document.

use std::fmt::Write as _;

pub(super) struct Curve {
    pub(super) name: &'static str,
    /// Rows and milliseconds.
    pub(super) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 3] = ["#1f77b4", "#d62728", "#2ca02c"];
/// Both axes are logarithmic.
const MIN_ROWS: f64 = 3.0;
const MAX_ROWS: f64 = 6.0;
const MIN_MS: f64 = -1.0;
const MAX_MS: f64 = 3.0;

fn x(rows: f64) -> f64 {
    MARGIN + (rows.log10() - MIN_ROWS) / (MAX_ROWS - MIN_ROWS) * (WIDTH - 2.0 * MARGIN)
}

fn y(ms: f64) -> f64 {
    let part = (ms.max(0.1).log10() - MIN_MS) / (MAX_MS - MIN_MS);
    HEIGHT - MARGIN - part * (HEIGHT - 2.0 * MARGIN)
}

/// Returns the whole picture.
pub(super) fn draw(title: &str, curves: &[Curve]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{MARGIN}\" y=\"24\">{title}</text>\n"
    );
    for (rows, label) in [(1e3, "1 k"), (1e4, "10 k"), (1e5, "100 k"), (1e6, "1 M")] {
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{label}</text>",
            x(rows),
            HEIGHT - 36.0
        );
    }
    for (ms, label) in [(0.1, "0.1"), (1.0, "1"), (10.0, "10"), (100.0, "100"), (1_000.0, "1,000 ms")] {
        let (at, right) = (y(ms), WIDTH - MARGIN);
        let _ = writeln!(
            svg,
            "<line x1=\"{MARGIN}\" x2=\"{right:.0}\" y1=\"{at:.0}\" y2=\"{at:.0}\" stroke=\"#ddd\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{label}</text>",
            MARGIN - 6.0,
            at + 4.0
        );
    }
    for (number, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        let points: Vec<String> =
            curve.points.iter().map(|(rows, ms)| format!("{:.1},{:.1}", x(*rows), y(*ms))).collect();
        let label = 40.0 + 16.0 * f64::from(u32::try_from(number).unwrap_or_default());
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.0}\" y=\"{label:.0}\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            WIDTH - 200.0,
            curve.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_lie_further_right_and_more_time_higher() {
        assert!(x(1e4) > x(1e3) && y(10.0) < y(1.0));
        let curve = Curve { name: "claim", points: vec![(1e3, 0.5), (1e6, 0.6)] };
        assert!(draw("a title", &[curve]).contains("<polyline points=\"60.0,"));
    }
}
