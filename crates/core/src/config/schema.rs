//! The JSON schema of `airlift.yaml`, for editors and for whoever writes one by program.
//!
//! What always holds: it is made from the types of the model, so that it names the keys that there are. It is in draft 7, with all keys
//! of the top level in one place, because that is what editors complete best.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::model::{Config, ProviderKind};

/// The schema. It says more about shapes than about sense: the file is checked for good by [`super::parse`].
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().with_transform(RecursiveTransform(tidy)).into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    if let Some(root) = schema.as_object_mut() {
        flatten_providers(root);
        refuse_keys_of_others(root);
    }
    schema
}

/// A key without a default has none, and descriptions are wrapped by whoever shows them.
fn tidy(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// Sections that have a key of this name: `user` is one of `ssh` and `hosts`.
pub(super) fn homes_of(key: &str) -> Vec<String> {
    static SECTIONS: LazyLock<Vec<(String, Vec<String>)>> = LazyLock::new(|| sections(&schema()));
    let has = |(_, keys): &&(String, Vec<String>)| keys.iter().any(|known| known == key);
    SECTIONS.iter().filter(has).map(|(section, _)| section.clone()).collect()
}

/// The sections of a schema and their keys; the top level is the section "the top level".
fn sections(schema: &Value) -> Vec<(String, Vec<String>)> {
    let keys = |node: &Value| -> Vec<String> {
        node["properties"].as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    };
    let mut sections = vec![("the top level".to_owned(), keys(schema))];
    for (name, node) in schema["properties"].as_object().into_iter().flatten() {
        let keys: Vec<String> = objects(schema, node).into_iter().flat_map(keys).collect();
        if !keys.is_empty() && name != "secrets" {
            sections.push((name.clone(), keys));
        }
    }
    sections
}

/// The maps with known keys that a node may be: itself, what it refers to, its choices, its items.
fn objects<'s>(root: &'s Value, node: &'s Value) -> Vec<&'s Value> {
    if node["properties"].is_object() {
        return vec![node];
    }
    if let Some(target) = node["$ref"].as_str().and_then(|target| root.pointer(target.trim_start_matches('#'))) {
        return objects(root, target);
    }
    let choices = ["anyOf", "oneOf", "allOf"].iter().filter_map(|word| node[*word].as_array()).flatten();
    choices.chain(node.get("items")).flat_map(|node| objects(root, node)).collect()
}

/// Moves what each provider has into the properties of the top level, and what it requires into conditions.
fn flatten_providers(root: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = root.remove("oneOf") else { return };
    let (mut names, mut keys, mut conditions) = (Vec::new(), Map::new(), Vec::new());
    for mut variant in variants {
        let name = variant["properties"]["provider"]["const"].take();
        let mut own = definition_of(root, &variant);
        if let Some(required) = own.get("required") {
            conditions.push(json!({ "if": when(&name), "then": { "required": required } }));
        }
        if let Some(properties) = own.get_mut("properties").and_then(Value::as_object_mut) {
            keys.append(properties);
        }
        names.push(name);
    }
    keys.insert("provider".to_owned(), json!({ "description": "Who makes the machines.", "enum": names }));
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        properties.append(&mut keys);
    }
    if let Some(required) = root.get_mut("required").and_then(Value::as_array_mut) {
        required.push("provider".into());
    }
    root.insert("additionalProperties".to_owned(), false.into());
    root.insert("allOf".to_owned(), conditions.into());
}

/// Takes what a variant refers to out of the definitions: nothing else refers to it.
fn definition_of(root: &mut Map<String, Value>, variant: &Value) -> Value {
    let links = variant
        .get("$ref")
        .into_iter()
        .chain(variant["allOf"].as_array().into_iter().flatten().map(|part| &part["$ref"]));
    let name = links.filter_map(Value::as_str).find_map(|link| link.strip_prefix("#/definitions/"));
    let definitions = root.get_mut("definitions").and_then(Value::as_object_mut);
    name.zip(definitions).and_then(|(name, definitions)| definitions.remove(name)).unwrap_or_default()
}

fn when(provider: &Value) -> Value {
    json!({ "properties": { "provider": { "const": provider } }, "required": ["provider"] })
}

/// Keys that only one provider takes.
fn refuse_keys_of_others(root: &mut Map<String, Value>) {
    let refuse = |provider: ProviderKind, properties: Value| json!({ "if": when(&provider.as_str().into()), "then": { "properties": properties } });
    let local = json!({ "hosts": false, "packages": false, "bundle": { "properties": { "owner": false } } });
    let hosts = json!({ "instances": false, "max_lifetime": false });
    if let Some(conditions) = root.get_mut("allOf").and_then(Value::as_array_mut) {
        conditions.push(refuse(ProviderKind::Local, local));
        conditions.push(refuse(ProviderKind::Hosts, hosts));
    }
}

/// The schema of a value that has a short and a long form.
pub(super) struct Either<A, B>(PhantomData<(A, B)>);

impl<A: JsonSchema, B: JsonSchema> JsonSchema for Either<A, B> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", A::schema_name(), B::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<A>(), generator.subschema_for::<B>()] })
    }
}

/// Defines a type that stands for a shape in the schema and for nothing else.
macro_rules! shape {
    ($(#[$doc:meta])* $name:ident, $schema:tt) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

shape!(
    /// A value that is taken as it is written, also without quotes.
    Scalar,
    { "type": ["string", "number", "boolean"] }
);
shape!(
    /// `instances` as one number.
    InstanceCount,
    { "type": "integer", "minimum": 1, "maximum": 1000 }
);
shape!(
    /// The number of instances of one group.
    GroupCount,
    { "type": "integer", "minimum": 0, "maximum": 1000 }
);
shape!(
    /// The name of a group.
    GroupText,
    { "type": "string", "pattern": "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" }
);
