//! JSON from outside, taken as it comes: a member of another shape than expected counts as absent,
//! and spoils nothing beside it. Nothing is built of what is not asked for.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// An object that takes the members it knows; each must be read, wanted or not.
pub(in crate::graph) trait LenientObject<'de>: Default {
    /// Takes the member `name`, or reads over it with [`skip_value`].
    fn read_member<A: MapAccess<'de>>(&mut self, name: &str, value: &mut A)
    -> Result<(), A::Error>;
}

/// Reads over a member.
pub(in crate::graph) fn skip_value<'de, A: MapAccess<'de>>(value: &mut A) -> Result<(), A::Error> {
    value.next_value::<IgnoredAny>().map(drop)
}

/// A text, or `None` for anything else.
#[derive(Default)]
pub(in crate::graph) struct MaybeText<'a>(pub(in crate::graph) Option<Cow<'a, str>>);

/// An object, or `None` for anything else.
pub(in crate::graph) struct MaybeObject<T>(pub(in crate::graph) Option<T>);

/// The elements of an array, each as it comes, or `None` for anything that is no array.
pub(in crate::graph) struct MaybeList<T>(pub(in crate::graph) Option<Vec<T>>);

impl MaybeText<'_> {
    pub(in crate::graph) fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// What becomes of a value of each shape; by default it is read over and counts as absent.
trait FromAnyValue<'de>: Sized {
    fn absent() -> Self;

    fn from_text(_: Cow<'de, str>) -> Self {
        Self::absent()
    }

    fn from_object<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::absent())
    }

    fn from_array<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::absent())
    }
}

impl<'de> FromAnyValue<'de> for MaybeText<'de> {
    fn absent() -> Self {
        Self(None)
    }

    fn from_text(from_text: Cow<'de, str>) -> Self {
        Self(Some(from_text))
    }
}

impl<'de, T: LenientObject<'de>> FromAnyValue<'de> for MaybeObject<T> {
    fn absent() -> Self {
        Self(None)
    }

    fn from_object<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut from_object = T::default();
        while let Some(name) = map.next_key::<MaybeText<'de>>()? {
            from_object.read_member(name.as_str().unwrap_or_default(), &mut map)?;
        }
        Ok(Self(Some(from_object)))
    }
}

impl<'de, T: Deserialize<'de>> FromAnyValue<'de> for MaybeList<T> {
    fn absent() -> Self {
        Self(None)
    }

    fn from_array<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Self(Some(elements)))
    }
}

struct AnyValueVisitor<T>(PhantomData<T>);

impl<'de, T: FromAnyValue<'de>> Visitor<'de> for AnyValueVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::from_text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_object(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        T::from_array(seq)
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::absent())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::absent())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::absent())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::absent())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::absent())
    }
}

fn deserialize_any_value<'de, T: FromAnyValue<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(AnyValueVisitor(PhantomData))
}

impl<'de> Deserialize<'de> for MaybeText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_any_value(deserializer)
    }
}

impl<'de, T: LenientObject<'de>> Deserialize<'de> for MaybeObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_any_value(deserializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MaybeList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_any_value(deserializer)
    }
}
