//! Reads JSON from strangers in one pass. What has another shape than expected counts as absent and
//! affects nothing beside it; nothing is built for it, so that a hostile body costs no memory.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is taken of an object or an array; of a value with another shape, the default.
pub(super) trait Lenient<'de>: Sized {
    type Taken: Default;

    fn object<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Taken, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Taken::default())
    }

    fn array<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Taken, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::Taken::default())
    }
}

/// A [`Lenient`] as serde takes it.
pub(super) struct Seed<L>(pub(super) L);

impl<'de, L: Lenient<'de>> DeserializeSeed<'de> for Seed<L> {
    type Value = L::Taken;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<L::Taken, D::Error> {
        json.deserialize_any(self)
    }
}

macro_rules! skip {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<L::Taken, E> {
            Ok(L::Taken::default())
        })*
    };
}

impl<'de, L: Lenient<'de>> Visitor<'de> for Seed<L> {
    type Value = L::Taken;

    skip!(visit_str: &str, visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

    fn visit_unit<E>(self) -> Result<L::Taken, E> {
        Ok(L::Taken::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<L::Taken, A::Error> {
        self.0.object(members)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<L::Taken, A::Error> {
        self.0.array(items)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }
}

/// Which of these names the name of a member is.
pub(super) struct OneOf<'a>(pub(super) &'a [&'static str]);

impl<'de> DeserializeSeed<'de> for OneOf<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for OneOf<'_> {
    type Value = Option<usize>;

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|known| *known == name))
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
}

/// The members of an object that have one of `N` names, where they are in the body. Of two with one
/// name the last counts.
pub(super) struct Members<'a, const N: usize> {
    names: [&'static str; N],
    values: [Option<&'a RawValue>; N],
}

impl<'a, const N: usize> Members<'a, N> {
    pub(super) fn named(names: [&'static str; N]) -> Self {
        Self { names, values: [None; N] }
    }

    /// The member `name`, which is one of the names.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let at = self.names.iter().position(|known| *known == name);
        debug_assert!(at.is_some(), "{name} is not read");
        self.values[at?]
    }

    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.get(name)?)
    }

    /// The members of the object `name`, if that is one.
    pub(super) fn object<const M: usize>(
        &self,
        name: &str,
        names: [&'static str; M],
    ) -> Option<Members<'a, M>> {
        let mut json = serde_json::Deserializer::from_str(self.get(name)?.get());
        Seed(Members::named(names)).deserialize(&mut json).ok()?
    }
}

impl<'de, const N: usize> Lenient<'de> for Members<'de, N> {
    type Taken = Option<Self>;

    fn object<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Option<Self>, A::Error> {
        while let Some(name) = members.next_key_seed(OneOf(&self.names))? {
            match name {
                Some(at) => self.values[at] = Some(members.next_value()?),
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(self))
    }
}

/// The text that `json` is, copied only where it has escapes.
pub(super) fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    let written = json.get().strip_prefix('"')?.strip_suffix('"')?;
    if written.contains('\\') {
        return serde_json::from_str(json.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(written))
}
