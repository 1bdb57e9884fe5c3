//! The query options of a request: what is not on the list is refused.

use url::Url;

use super::{
    fields::{self, COUNT, EXPAND, FILTER, SELECT},
    property_id::PropertyId,
    violation::Violation,
};

/// The query options of a request.
#[derive(Default)]
pub(in crate::graph) struct GraphQueryOptions {
    select: Option<String>,
    expand: Option<String>,
    filter: Option<String>,
    count: Option<String>,
    top: Option<String>,
    others: Vec<String>,
}

impl GraphQueryOptions {
    pub(in crate::graph) fn parse(url: &Url) -> Result<Self, Violation> {
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
                // They choose which items, and nothing of what is read of them.
                "$skip" | "$skiptoken" | "startDateTime" | "endDateTime" => {
                    options.others.push(name.into_owned());
                    continue;
                }
                _ => return Err(Violation::Option),
            };
            // Which of two would count is not for us to guess.
            if slot.replace(value.into_owned()).is_some() {
                return Err(Violation::Option);
            }
        }
        Ok(options)
    }

    fn has_no_projection(&self) -> bool {
        let chosen = [&self.select, &self.expand, &self.filter, &self.count];
        chosen.into_iter().all(Option::is_none)
    }

    pub(in crate::graph) fn require_none(&self) -> Result<(), Violation> {
        let none = self.has_no_projection() && self.others.is_empty();
        if none { Ok(()) } else { Err(Violation::Option) }
    }

    pub(in crate::graph) fn require_paging_only(&self) -> Result<(), Violation> {
        // The options of a calendar view begin without a dollar sign, and mean nothing here.
        let paging = self.others.iter().all(|name| name.starts_with('$'));
        if self.has_no_projection() && paging { Ok(()) } else { Err(Violation::Option) }
    }

    /// A calendar read, which counts as one: all chosen fields are on one of `lists`.
    pub(in crate::graph) fn check_calendar_read(
        &self,
        lists: &[&[&str]],
        expands: bool,
        filters: bool,
    ) -> Result<u64, Violation> {
        // Only lists of the directory need a count.
        if self.count.is_some() {
            return Err(Violation::Option);
        }
        let chosen = self.select.as_deref().ok_or(Violation::Field)?;
        let within = |list: &&[&str]| chosen.split(',').all(|field| list.contains(&field));
        if !lists.iter().any(within) {
            return Err(Violation::Field);
        }
        match &self.expand {
            Some(text) if expands => check_expansion(text)?,
            Some(_) => return Err(Violation::Expansion),
            None => {}
        }
        match &self.filter {
            Some(text) if filters && fields::is_ical_uid_comparison(text) => Ok(1),
            Some(_) => Err(Violation::Option),
            None => Ok(1),
        }
    }
}

/// The options that a read of the directory may have beside its fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::graph) enum PagingRule {
    /// It does not: it is one object.
    SingleObject,
    Pages,
    CountedPages,
}

impl GraphQueryOptions {
    /// A read of the directory: exactly the fields of `list`, neither more nor fewer.
    pub(in crate::graph) fn check_directory_read(
        &self,
        list: &[&str],
        beside: PagingRule,
    ) -> Result<(), Violation> {
        if self.expand.is_some() {
            return Err(Violation::Expansion);
        }
        self.require_exact_select(list)?;
        let pages = beside != PagingRule::SingleObject;
        let others = self.others.iter().all(|name| pages && name.starts_with('$'));
        let count = match self.count.as_deref() {
            None => true,
            Some(count) => beside == PagingRule::CountedPages && count == "true",
        };
        let listed = others && count && self.filter.is_none();
        if listed { Ok(()) } else { Err(Violation::Option) }
    }

    fn require_exact_select(&self, list: &[&str]) -> Result<(), Violation> {
        let chosen = self.select.as_deref().ok_or(Violation::Field)?;
        let chosen: Vec<&str> = chosen.split(',').collect();
        // With fewer, what was not asked for would be taken for missing.
        let exactly = chosen.len() == list.len() && list.iter().all(|field| chosen.contains(field));
        if exactly { Ok(()) } else { Err(Violation::Field) }
    }

    /// Whether the list is narrowed at all.
    pub(in crate::graph) fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// A look-up in the directory: exactly the fields of `list` of the one that has an address, in
    /// the one form we write. It has no next page.
    pub(in crate::graph) fn check_directory_lookup(
        &self,
        list: &[&str],
        is_address: fn(&str) -> bool,
    ) -> Result<(), Violation> {
        if self.expand.is_some() {
            return Err(Violation::Expansion);
        }
        let filter = self.filter.as_deref().unwrap_or_default();
        let address = fields::mail_in_filter(filter).filter(|address| is_address(address));
        // A second page would be about somebody else.
        let alone = self.others == ["$top"] && self.top.as_deref() == Some(fields::LOOKUP_TOP);
        if address.is_none() || !alone || self.count.is_some() {
            return Err(Violation::Option);
        }
        self.require_exact_select(list)
    }
}

/// The expansion names exactly one extended property, in the one form we write.
fn check_expansion(text: &str) -> Result<(), Violation> {
    let id = text.split('\'').nth(1).and_then(|id| id.parse::<PropertyId>().ok());
    match id {
        Some(id) if fields::expand_value(&id).eq_ignore_ascii_case(text) => Ok(()),
        Some(_) | None => Err(Violation::Expansion),
    }
}
