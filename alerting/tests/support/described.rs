//! Holds every answer that a test gets against the OpenAPI document: what the API says of itself is what it does.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(&citywatch_alerting::openapi_json()).unwrap())
}

/// Panics where an answer is not as it is described.
pub fn check(method: &str, path: &str, status: u16, body: &Value) {
    let path = path.split('?').next().unwrap_or(path);
    let Some(operation) = operation(method, path) else {
        assert!(
            status >= 400,
            "{method} {path} is not described, and answered {status}"
        );
        return;
    };
    let responses = &operation["responses"];
    let response = &responses[status.to_string()];
    let content = if status >= 400 {
        &responses["default"]["content"]["application/problem+json"]
    } else {
        assert!(
            response.is_object(),
            "{method} {path}: {status} is not described"
        );
        &response["content"]["application/json"]
    };
    if content.is_null() {
        return;
    }
    if let Err(what) = fits(&content["schema"], body, "") {
        panic!("{method} {path} {status}: {what}\n{body:#}");
    }
}

/// The operation of a path: one without parameters wins over one with.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let parts: Vec<&str> = path.split('/').collect();
    let paths = document()["paths"].as_object().unwrap();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(&parts)
                .all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
    };
    let (_, operations) = paths
        .iter()
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.matches('{').count())?;
    operations.get(method.to_lowercase())
}

fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str() {
        Some(name) => {
            let name = name.rsplit('/').next().unwrap();
            resolved(&document()["components"]["schemas"][name])
        }
        None => schema,
    }
}

fn fits(schema: &'static Value, value: &Value, place: &str) -> Result<(), String> {
    let schema = resolved(schema);
    if let Some(either) = schema["oneOf"].as_array() {
        let tries: Vec<_> = either.iter().map(|one| fits(one, value, place)).collect();
        let mut wrong = tries.into_iter().filter_map(Result::err);
        let first = wrong.next();
        return match (first, wrong.count() + 1 < either.len()) {
            (Some(first), false) => Err(first),
            _ => Ok(()),
        };
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{place}: {value} is none of {allowed:?}"));
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    if !names.is_empty() && !names.iter().any(|name| is(name)) {
        return Err(format!("{place}: {value} is no {names:?}"));
    }
    if let Some(items) = value.as_array()
        && schema["items"].is_object()
    {
        for (number, item) in items.iter().enumerate() {
            fits(&schema["items"], item, &format!("{place}[{number}]"))?;
        }
    }
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    let (mut properties, mut required) = (BTreeMap::new(), Vec::new());
    gather(schema, &mut properties, &mut required);
    if properties.is_empty() {
        // A map, or an object of any kind.
        if let Some(of) = schema
            .get("additionalProperties")
            .filter(|of| of.is_object())
        {
            for (name, value) in object {
                fits(of, value, &format!("{place}.{name}"))?;
            }
        }
        return Ok(());
    }
    if let Some(name) = required.iter().find(|name| !object.contains_key(**name)) {
        return Err(format!("{place}.{name} is missing"));
    }
    for (name, value) in object {
        let schema = properties
            .get(name.as_str())
            .ok_or_else(|| format!("{place}.{name} is not described"))?;
        fits(schema, value, &format!("{place}.{name}"))?;
    }
    Ok(())
}

/// The properties of an object, parts that were flattened into it included.
fn gather(
    schema: &'static Value,
    properties: &mut BTreeMap<&'static str, &'static Value>,
    required: &mut Vec<&'static str>,
) {
    let schema = resolved(schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gather(part, properties, required);
    }
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        properties.insert(name, of);
    }
    let names = schema["required"].as_array().into_iter().flatten();
    required.extend(names.filter_map(Value::as_str));
}
