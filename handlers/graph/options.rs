//! The query options of a request, as the guard judges them: what is not on the list is refused.

use url::Url;

use super::{
    fields::{self, COUNT, EXPAND, FILTER, SELECT},
    property_id::PropertyId,
    refusal::{Refusal, Rule},
};

/// The query options of a request.
#[derive(Default)]
pub(super) struct Options {
    select: Option<String>,
    expand: Option<String>,
    filter: Option<String>,
    count: Option<String>,
    top: Option<String>,
    others: Vec<String>,
}

impl Options {
    pub(super) fn of(url: &Url) -> Result<Self, Refusal> {
        let mut options = Self::default();
        for (name, value) in url.query_pairs() {
            let slot = match name.as_ref() {
                SELECT => &mut options.select,
                EXPAND => &mut options.expand,
                FILTER => &mut options.filter,
                COUNT => &mut options.count,
                "$top" => {
                    options.others.push(name.into_owned());
                    options.top = Some(value.into_owned());
                    continue;
                }
                "$skip" | "$skiptoken" | "startDateTime" | "endDateTime" => {
                    options.others.push(name.into_owned());
                    continue;
                }
                _ => return Err(Refusal(Rule::Option)),
            };
            // Which of two would count is not for us to guess.
            if slot.replace(value.into_owned()).is_some() {
                return Err(Refusal(Rule::Option));
            }
        }
        Ok(options)
    }

    fn chooses_nothing(&self) -> bool {
        let chosen = [&self.select, &self.expand, &self.filter, &self.count];
        chosen.into_iter().all(Option::is_none)
    }

    pub(super) fn none(&self) -> Result<(), Refusal> {
        let none = self.chooses_nothing() && self.others.is_empty();
        if none { Ok(()) } else { Err(Refusal(Rule::Option)) }
    }

    pub(super) fn only_paging(&self) -> Result<(), Refusal> {
        let paging = self.others.iter().all(|name| name.starts_with('$'));
        if self.chooses_nothing() && paging { Ok(()) } else { Err(Refusal(Rule::Option)) }
    }

    /// A calendar read, which counts as one: all chosen fields are on one of `lists`.
    pub(super) fn reads(
        &self,
        lists: &[&[&str]],
        expands: bool,
        filters: bool,
    ) -> Result<u64, Refusal> {
        if self.count.is_some() {
            return Err(Refusal(Rule::Option));
        }
        let chosen = self.select.as_deref().ok_or(Refusal(Rule::Field))?;
        let within = |list: &&[&str]| chosen.split(',').all(|field| list.contains(&field));
        if !lists.iter().any(within) {
            return Err(Refusal(Rule::Field));
        }
        match &self.expand {
            Some(text) if expands => one_property(text)?,
            Some(_) => return Err(Refusal(Rule::Expansion)),
            None => {}
        }
        match &self.filter {
            Some(text) if filters && text.starts_with(fields::BY_ICAL_UID) => Ok(1),
            Some(_) => Err(Refusal(Rule::Option)),
            None => Ok(1),
        }
    }
}

/// How a read of the directory goes on beside its fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// It does not: it is one object.
    Nothing,
    /// From page to page.
    Pages,
    /// From page to page, counted.
    CountedPages,
}

impl Options {
    /// A read of the directory: exactly the fields of `list`, neither more nor fewer.
    pub(super) fn lists(&self, list: &[&str], beside: Beside) -> Result<(), Refusal> {
        if self.expand.is_some() {
            return Err(Refusal(Rule::Expansion));
        }
        self.chooses(list)?;
        let pages = beside != Beside::Nothing;
        let others = self.others.iter().all(|name| pages && name.starts_with('$'));
        let count = match self.count.as_deref() {
            None => true,
            Some(count) => beside == Beside::CountedPages && count == "true",
        };
        let listed = others && count && self.filter.is_none();
        if listed { Ok(()) } else { Err(Refusal(Rule::Option)) }
    }

    fn chooses(&self, list: &[&str]) -> Result<(), Refusal> {
        let chosen = self.select.as_deref().ok_or(Refusal(Rule::Field))?;
        let chosen: Vec<&str> = chosen.split(',').collect();
        let exactly = chosen.len() == list.len() && list.iter().all(|field| chosen.contains(field));
        if exactly { Ok(()) } else { Err(Refusal(Rule::Field)) }
    }

    /// Whether the list is narrowed at all.
    pub(super) fn filters(&self) -> bool {
        self.filter.is_some()
    }

    /// A look-up in the directory: exactly the fields of `list` of the one that has an address, in
    /// the one form we write. It goes on to no other page.
    pub(super) fn looks_up(
        &self,
        list: &[&str],
        is_address: fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        if self.expand.is_some() {
            return Err(Refusal(Rule::Expansion));
        }
        let filter = self.filter.as_deref().unwrap_or_default();
        let address = fields::address_in(filter).filter(|address| is_address(address));
        let alone = self.others == ["$top"] && self.top.as_deref() == Some(fields::LOOK_UP_MAX);
        if address.is_none() || !alone || self.count.is_some() {
            return Err(Refusal(Rule::Option));
        }
        self.chooses(list)
    }
}

/// The expansion names exactly one extended property, in the one form we write.
fn one_property(text: &str) -> Result<(), Refusal> {
    let id = text.split('\'').nth(1).and_then(|id| id.parse::<PropertyId>().ok());
    match id {
        Some(id) if fields::expansion(&id).eq_ignore_ascii_case(text) => Ok(()),
        Some(_) | None => Err(Refusal(Rule::Expansion)),
    }
}
