//! Queries in FIQL, as TOPdesk's tutorial describes them: read strictly, and worked out on an answer's JSON.

use jiff::Timestamp;
use serde_json::Value;

/// What a field holds, which says how it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Date,
    Truth,
    /// One of these names.
    Choice(&'static [&'static str]),
}

/// The fields of which something can be asked.
pub(super) type Fields = &'static [(&'static str, Kind)];

const STATUSES: &[&str] = &[
    "request",
    "rejectedRequest",
    "planned",
    "cancelled",
    "conflictingPlanned",
    "conflictingRequest",
];

/// Those of reservations that its description lists, as far as they are simulated.
pub(super) const RESERVATION_FIELDS: Fields = &[
    ("status", Kind::Choice(STATUSES)),
    ("archived", Kind::Truth),
    ("number", Kind::Text),
    ("briefDescription", Kind::Text),
    ("numberOfPersons", Kind::Number),
    ("plannedStartDate", Kind::Date),
    ("plannedEndDate", Kind::Date),
    ("requester.id", Kind::Text),
    ("requester.email", Kind::Text),
    ("series.id", Kind::Text),
    ("reservedFacilities.location.id", Kind::Text),
    ("reservedFacilities.location.roomNumber", Kind::Text),
    ("participants.persons.id", Kind::Text),
    ("externalLinks.id", Kind::Text),
    ("externalLinks.type", Kind::Text),
    ("externalLinks.date", Kind::Date),
];

/// Those of persons.
pub(super) const PERSON_FIELDS: Fields = &[
    ("id", Kind::Text),
    ("email", Kind::Text),
    ("firstName", Kind::Text),
    ("surName", Kind::Text),
    ("archived", Kind::Truth),
];

/// What separates, and so has to be quoted in a value.
const RESERVED: &[char] = &['\'', '"', '(', ')', ';', ',', '=', '!', '~', '<', '>'];

/// A query.
#[derive(Debug, PartialEq)]
pub(super) enum Query {
    Any(Vec<Query>),
    All(Vec<Query>),
    Compare { field: String, kind: Kind, operator: Operator, values: Vec<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    StartsWith,
    In,
    Out,
}

const OPERATORS: [(&str, Operator); 9] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("=gt=", Operator::Greater),
    ("=ge=", Operator::GreaterOrEqual),
    ("=lt=", Operator::Less),
    ("=le=", Operator::LessOrEqual),
    ("=sw=", Operator::StartsWith),
    ("=in=", Operator::In),
    ("=out=", Operator::Out),
];

impl Query {
    /// Reads a query; says what is wrong with it.
    pub(super) fn parse(text: &str, fields: Fields) -> Result<Self, String> {
        let mut reader = Reader { rest: text, fields };
        let query = reader.any()?;
        if reader.rest.is_empty() {
            Ok(query)
        } else {
            Err(format!("nothing was expected at {:?}", reader.rest))
        }
    }

    /// Whether it holds for `item`.
    pub(super) fn holds(&self, item: &Value) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds(item)),
            Self::All(parts) => parts.iter().all(|part| part.holds(item)),
            Self::Compare { field, kind, operator, values } => {
                let path: Vec<&str> = field.split('.').collect();
                compare(&values_at(item, &path), *kind, *operator, values)
            }
        }
    }
}

/// Everything below `item` at a path; a list's elements each have it.
fn values_at<'a>(item: &'a Value, path: &[&str]) -> Vec<&'a Value> {
    match (item, path) {
        (Value::Array(items), _) => items.iter().flat_map(|item| values_at(item, path)).collect(),
        (Value::Null, _) => Vec::new(),
        (item, []) => vec![item],
        (item, [first, rest @ ..]) => {
            item.get(first).map(|item| values_at(item, rest)).unwrap_or_default()
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn compare(found: &[&Value], kind: Kind, operator: Operator, values: &[String]) -> bool {
    let is_null = |wanted: &String| wanted == "null" && found.is_empty();
    let equals = |wanted: &String| {
        is_null(wanted)
            || found.iter().any(|value| match kind {
                Kind::Date => instant(&text_of(value)) == instant(wanted),
                Kind::Number | Kind::Text | Kind::Truth | Kind::Choice(_) => {
                    text_of(value).eq_ignore_ascii_case(wanted)
                }
            })
    };
    let ordered = |test: fn(std::cmp::Ordering) -> bool| {
        let wanted = values.first().map(String::as_str).unwrap_or_default();
        found.iter().any(|value| {
            let order = match kind {
                Kind::Date => instant(&text_of(value)).partial_cmp(&instant(wanted)),
                Kind::Number => value.as_f64().partial_cmp(&wanted.parse::<f64>().ok()),
                Kind::Text | Kind::Truth | Kind::Choice(_) => None,
            };
            order.is_some_and(test)
        })
    };
    match operator {
        Operator::Equal | Operator::In => values.iter().any(equals),
        Operator::NotEqual | Operator::Out => !values.iter().any(equals),
        Operator::Greater => ordered(std::cmp::Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(std::cmp::Ordering::is_ge),
        Operator::Less => ordered(std::cmp::Ordering::is_lt),
        Operator::LessOrEqual => ordered(std::cmp::Ordering::is_le),
        Operator::StartsWith => {
            found.iter().any(|value| values.iter().any(|text| text_of(value).starts_with(text)))
        }
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

struct Reader<'a> {
    rest: &'a str,
    fields: Fields,
}

impl Reader<'_> {
    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        rest.inspect(|rest| self.rest = rest).is_some()
    }

    fn any(&mut self) -> Result<Query, String> {
        let mut parts = vec![self.all()?];
        while self.take(",") {
            parts.push(self.all()?);
        }
        Ok(Query::Any(parts))
    }

    fn all(&mut self) -> Result<Query, String> {
        let mut parts = vec![self.one()?];
        while self.take(";") {
            parts.push(self.one()?);
        }
        Ok(Query::All(parts))
    }

    fn one(&mut self) -> Result<Query, String> {
        if self.take("(") {
            let inner = self.any()?;
            return if self.take(")") { Ok(inner) } else { Err("a bracket is open".to_owned()) };
        }
        let end = self.rest.find(['=', '!']).ok_or("a comparison was expected")?;
        let (field, rest) = self.rest.split_at(end);
        let known = self.fields.iter().find(|(name, _)| *name == field);
        let kind = known.map(|(_, kind)| *kind).ok_or_else(|| format!("no field {field:?}"))?;
        self.rest = rest;
        let known = OPERATORS.iter().find(|(text, _)| rest.starts_with(text));
        let (text, operator) = *known.ok_or_else(|| format!("no operator at {rest:?}"))?;
        self.take(text);
        let values = if matches!(operator, Operator::In | Operator::Out) {
            self.list()?
        } else {
            vec![self.value()?]
        };
        for value in &values {
            check(field, kind, operator, value)?;
        }
        Ok(Query::Compare { field: field.to_owned(), kind, operator, values })
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        if !self.take("(") {
            return Err("a list was expected".to_owned());
        }
        let mut values = vec![self.value()?];
        while self.take(",") {
            values.push(self.value()?);
        }
        if self.take(")") { Ok(values) } else { Err("a list is open".to_owned()) }
    }

    fn value(&mut self) -> Result<String, String> {
        for quote in ['"', '\''] {
            if self.take(&quote.to_string()) {
                return self.quoted(quote);
            }
        }
        let is_end = |c: char| RESERVED.contains(&c) || c.is_whitespace();
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        if value.is_empty() { Err("a value was expected".to_owned()) } else { Ok(value.to_owned()) }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let (mut value, mut is_escaped) = (String::new(), false);
        for (at, c) in self.rest.char_indices() {
            match c {
                '\\' if !is_escaped => is_escaped = true,
                c if c == quote && !is_escaped => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Ok(value);
                }
                c => {
                    value.push(c);
                    is_escaped = false;
                }
            }
        }
        Err("a quote is open".to_owned())
    }
}

/// Whether a field can be compared so.
fn check(field: &str, kind: Kind, operator: Operator, value: &str) -> Result<(), String> {
    let fits = match operator {
        Operator::Equal | Operator::NotEqual | Operator::In | Operator::Out => true,
        Operator::StartsWith => kind == Kind::Text,
        Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual => {
            matches!(kind, Kind::Number | Kind::Date)
        }
    };
    let is_one = match kind {
        Kind::Text => true,
        Kind::Number => value.parse::<f64>().is_ok(),
        Kind::Date => instant(value).is_some(),
        Kind::Truth => matches!(value, "true" | "false"),
        Kind::Choice(names) => names.contains(&value),
    };
    match (fits, is_one || value == "null") {
        (true, true) => Ok(()),
        (false, _) => Err(format!("{field} cannot be compared so")),
        (true, false) => Err(format!("{value:?} is no value of {field}")),
    }
}
