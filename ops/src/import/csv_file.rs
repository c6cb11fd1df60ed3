//! A CSV file as rows: UTF-8 with or without a mark, quoted fields, headings in any order.

use std::{collections::HashMap, path::Path};

use csv::{Position, ReaderBuilder, StringRecord};

use super::rows::{Place, REQUIRED, Row, Rows, column};
use crate::OpsError;

const MARK: &str = "\u{feff}";

pub fn read_csv(path: &Path) -> Result<Rows, OpsError> {
    let place = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| OpsError::NotFound(format!("{place} cannot be read: {error}")))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let text = decode(&bytes).map_err(|why| OpsError::Refused(format!("{place}: {why}")))?;
    parse(&name, text).map_err(|why| OpsError::Refused(format!("{place}: {why}")))
}

/// What Excel writes in Korea by default is CP949, which nothing tells apart from another encoding with certainty.
fn decode(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
        let line = line.saturating_add(1);
        format!(
            "line {line} is not UTF-8: the file looks like CP949 (EUC-KR), as Excel saves position in Korea. \
             Save position as \"CSV UTF-8\" and try again"
        )
    })?;
    Ok(text.strip_prefix(MARK).unwrap_or(text))
}

fn parse(source: &str, text: &str) -> Result<Rows, String> {
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let headings = reader.headers().map_err(|error| error.to_string())?.clone();
    let columns = columns(&headings)?;
    let mut rows = Rows {
        source: source.to_owned(),
        columns: headings.iter().map(str::to_owned).collect(),
        all: Vec::new(),
        broken: Vec::new(),
    };
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let place = Place::Line(lines.of(record.position()));
        if record.len() == headings.len() {
            let named = columns.iter().zip(&record);
            let values: HashMap<_, _> =
                named.filter_map(|(column, value)| Some(((*column)?, value.to_owned()))).collect();
            rows.all.push(Row { place, values });
        } else {
            let why = format!("has {} fields, the headings are {}", record.len(), headings.len());
            rows.broken.push((place, why));
        }
    }
    Ok(rows)
}

/// Counts lines as an editor does. The reader's own count is one behind where lines end in CR LF.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line on which a record begins; records come in the order of the file.
    fn of(&mut self, position: Option<&Position>) -> u64 {
        let start = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.at);
        let (mut passed, rest) = self.text.split_at(start.min(self.text.len()));
        passed = passed.get(self.at..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let ends = passed.iter().chain(blank.clone()).filter(|byte| **byte == b'\n').count();
        self.at = start.saturating_add(blank.count());
        self.line = self.line.saturating_add(u64::try_from(ends).unwrap_or_default());
        self.line
    }
}

/// What each heading means; one that means nothing to us is left aside.
fn columns(headings: &StringRecord) -> Result<Vec<Option<&'static str>>, String> {
    let columns: Vec<_> = headings.iter().map(column).collect();
    let missing: Vec<_> = REQUIRED.into_iter().filter(|name| !columns.contains(&Some(name))).collect();
    if !missing.is_empty() {
        return Err(format!("line 1 has no heading {}", missing.join(", ")));
    }
    let mut seen = Vec::new();
    for name in columns.iter().flatten() {
        if seen.contains(name) {
            return Err(format!("line 1 has the heading {name} twice"));
        }
        seen.push(*name);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADINGS: &str =
        "id,userId,plan,billingCycle,billingKey,customerKey,amount,status,nextBillingDate,email,name,x";

    #[test]
    fn marks_quotes_and_line_breaks_in_a_field_keep_the_lines() {
        let text = format!(
            "{MARK}{HEADINGS}\r\n1,2,3,4,5,6,7,8,9,a@b.kr,\"홍, \"\"길동\"\"\n2세\",x\r\n2,2,3,4,5,6,7,8,9,,,\r\n"
        );
        let rows = parse("f.csv", decode(text.as_bytes()).unwrap()).unwrap();
        let names: Vec<_> = rows.all.iter().map(|row| row.values["customer_name"].as_str()).collect();
        assert_eq!(names, ["홍, \"길동\"\n2세", ""]);
        let places = |rows: &Rows| rows.all.iter().map(|row| row.place.to_string()).collect::<Vec<_>>();
        assert_eq!(places(&rows), ["line 2", "line 4"]);
        let with_blank_lines = text.replace("\r\n2,2", "\n\n\n2,2").replace("\r\n", "\n");
        let rows = parse("f.csv", decode(with_blank_lines.as_bytes()).unwrap()).unwrap();
        assert_eq!(places(&rows), ["line 2", "line 6"]);
    }

    #[test]
    fn a_file_saved_by_a_korean_excel_gets_one_clear_error() {
        // "id,이름\n1,홍길동" in CP949.
        let bytes = b"id,name\n1,\xc8\xab\xb1\xe6\xb5\xbf\n";
        let why = decode(bytes).unwrap_err();
        assert!(why.starts_with("line 2 is not UTF-8") && why.contains("CP949") && why.contains("CSV UTF-8"));
        assert!(decode(b"\xff\xfei\0d\0").is_err());
    }

    #[test]
    fn missing_and_double_headings_are_told_by_name() {
        let why = parse("f.csv", "id,plan\n1,2\n").err().unwrap();
        assert!(why.contains("user_id, billing_cycle, billing_key"), "{why}");
        let twice = HEADINGS.replace(",x", ",user_id");
        assert!(parse("f.csv", &twice).err().unwrap().contains("user_id twice"));
    }

    #[test]
    fn a_row_of_another_length_is_broken_and_the_others_are_read() {
        let text = format!("{HEADINGS}\n1,2,3\n1,2,3,4,5,6,7,8,9,a,b,c\n");
        let rows = parse("f.csv", &text).unwrap();
        assert_eq!((rows.all.len(), rows.broken.len()), (1, 1));
        assert_eq!(rows.broken[0].0.to_string(), "line 2");
    }
}
