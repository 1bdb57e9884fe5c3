//! The compiler's own types, as Azure/bicep-types-az and microsoftgraph/msgraph-bicep-types publish them
//! (`types.json` a provider and version), several such files in one.
use super::{Choice, Field, Fields, List, Number, Text, Ty};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The field must be given.
pub(crate) const REQUIRED: u32 = 1;
/// The field is only read.
pub(crate) const READ_ONLY: u32 = 2;
/// The field is only written.
pub(crate) const WRITE_ONLY: u32 = 4;
/// The field is known when the deployment starts.
pub(crate) const START: u32 = 8;
/// The field names the resource.
pub(crate) const IDENTIFIER: u32 = 16;

/// A field that may exist where the types do not name it.
pub(crate) const LEFT_OUT: &str = "description";

/// The types of resources that templates may name.
#[derive(Debug)]
pub struct Types {
    files: Vec<HashMap<u32, Value>>,
    /// By lower-cased `type@version`.
    resources: BTreeMap<String, ResourceType>,
}

/// What is known of a resource type as a whole.
#[derive(Clone, Debug)]
pub(crate) struct ResourceType {
    /// `type@version` as published.
    pub(crate) name: String,
    pub(crate) body: Ty,
    /// Where it can be deployed, as bits: 1 tenant, 2 management group, 4 subscription, 8 resource group,
    /// 16 another resource; 0 if that is not said.
    pub(crate) writable: u64,
}

impl Types {
    /// Reads a slice from a file: JSON with `files`, each a map from number to type.
    ///
    /// # Errors
    /// When the file cannot be read or does not hold types.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("the types cannot be read: {error}"))?;
        Self::parse(&text)
    }

    /// Reads a slice from text.
    ///
    /// # Errors
    /// When the text does not hold types.
    pub fn parse(text: &str) -> Result<Self, String> {
        let slice: Value = serde_json::from_str(text)
            .map_err(|error| format!("the types are not JSON: {error}"))?;
        let listed = slice["files"].as_object().ok_or("the types have no \"files\"")?;
        let mut types = Self { files: Vec::new(), resources: BTreeMap::new() };
        for file in listed.values() {
            let number = types.files.len();
            let entries: HashMap<u32, Value> = match file {
                Value::Object(map) => map
                    .iter()
                    .filter_map(|(key, it)| Some((key.parse().ok()?, it.clone())))
                    .collect(),
                Value::Array(list) => (0..).zip(list.iter().cloned()).collect(),
                _ => HashMap::new(),
            };
            for entry in entries.values().filter(|it| it["$type"] == "ResourceType") {
                types.add_resource(number, entry);
            }
            types.files.push(entries);
        }
        if types.resources.is_empty() {
            Err("the types name no resource".to_owned())
        } else {
            Ok(types)
        }
    }

    fn add_resource(&mut self, file: usize, entry: &Value) {
        let Some(name) = entry["name"].as_str() else { return };
        let writable = entry["writableScopes"].as_u64().unwrap_or(0);
        let found =
            ResourceType { name: name.to_owned(), body: later(file, &entry["body"]), writable };
        self.resources.insert(name.to_lowercase(), found);
    }

    /// Every resource type with its version, as published.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.values().map(|it| it.name.as_str())
    }

    pub(crate) fn resource(&self, type_and_version: &str) -> Option<&ResourceType> {
        self.resources.get(&type_and_version.to_lowercase())
    }

    /// The type behind a number; any other as it is.
    pub(crate) fn look(&self, ty: &Ty) -> Ty {
        let mut ty = ty.clone();
        while let Ty::Later(file, number) = ty {
            ty = self.files[file].get(&number).map_or(Ty::Any, |entry| read(file, entry));
        }
        ty
    }
}

fn later(file: usize, reference: &Value) -> Ty {
    let number = reference["$ref"]
        .as_str()
        .and_then(|it| it.strip_prefix("#/"))
        .and_then(|it| it.parse().ok());
    number.map_or(Ty::Any, |number| Ty::Later(file, number))
}

fn read(file: usize, entry: &Value) -> Ty {
    let length = |name: &str| entry[name].as_u64().and_then(|it| usize::try_from(it).ok());
    match entry["$type"].as_str() {
        Some("StringType") => Ty::Text(Text {
            min: length("minLength"),
            max: length("maxLength"),
            pattern: entry["pattern"].as_str().map(str::to_owned),
            secure: entry["sensitive"] == true,
            ..Text::default()
        }),
        Some("StringLiteralType") => Ty::literal(entry["value"].as_str().unwrap_or_default()),
        Some("IntegerType") => Ty::Int(Number {
            min: entry["minValue"].as_i64(),
            max: entry["maxValue"].as_i64(),
            ..Number::default()
        }),
        Some("BooleanType") => Ty::Bool(None),
        Some("NullType") => Ty::Null,
        Some("ArrayType") => Ty::Array(Arc::new(List {
            item: later(file, &entry["itemType"]),
            min: length("minLength"),
            max: length("maxLength"),
        })),
        Some("UnionType") => {
            let members = entry["elements"].as_array().into_iter().flatten();
            Ty::Union(Arc::new(members.map(|it| later(file, it)).collect()))
        }
        Some("ObjectType") => {
            let mut fields = fields(file, &entry["properties"]);
            // Slices leave descriptions out, and with them the fields that are called so.
            fields.entry(LEFT_OUT.to_owned()).or_insert(Field { ty: Ty::Any, flags: 0 });
            Ty::Object(Arc::new(Fields {
                name: entry["name"].as_str().unwrap_or("object").to_owned(),
                fields,
                additional: entry.get("additionalProperties").map(|it| later(file, it)),
            }))
        }
        Some("DiscriminatedObjectType") => {
            let elements = entry["elements"].as_object().into_iter().flatten();
            Ty::Choice(Arc::new(Choice {
                name: entry["name"].as_str().unwrap_or("object").to_owned(),
                discriminator: entry["discriminator"].as_str().unwrap_or_default().to_owned(),
                base: fields(file, &entry["baseProperties"]),
                elements: elements.map(|(name, it)| (name.clone(), later(file, it))).collect(),
            }))
        }
        _ => Ty::Any,
    }
}

fn fields(file: usize, properties: &Value) -> BTreeMap<String, Field> {
    let listed = properties.as_object().into_iter().flatten();
    let flags =
        |it: &Value| it["flags"].as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
    listed
        .map(|(name, it)| (name.clone(), Field { ty: later(file, &it["type"]), flags: flags(it) }))
        .collect()
}
