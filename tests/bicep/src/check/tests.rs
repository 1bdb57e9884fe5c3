//! Stories about small templates: what is right passes in silence, what is wrong is named where it stands.
use super::*;
use serde_json::json;

/// A slice with one kind of account that has children, and one kind of assignment that hangs from anything.
fn types() -> Types {
    let object = |name: &str, properties: serde_json::Value| json!({"$type": "ObjectType", "name": name, "properties": properties});
    let field =
        |number: u32, flags: u32| json!({"type": {"$ref": format!("#/{number}")}, "flags": flags});
    let resource = |name: &str, body: u32, scopes: u32| json!({"$type": "ResourceType", "name": name, "body": {"$ref": format!("#/{body}")}, "writableScopes": scopes});
    let slice = json!({"files": {"types.json": {
        "0": {"$type": "StringType"},
        "1": {"$type": "StringType", "minLength": 3, "maxLength": 8, "pattern": "^[a-z0-9]+$"},
        "2": {"$type": "BooleanType"},
        "3": {"$type": "StringLiteralType", "value": "Hot"},
        "4": {"$type": "StringLiteralType", "value": "Cool"},
        "5": {"$type": "UnionType", "elements": [{"$ref": "#/3"}, {"$ref": "#/4"}]},
        "6": {"$type": "IntegerType", "minValue": 1, "maxValue": 7},
        "7": object("AccountProperties", json!({"tier": field(5, 0), "days": field(6, 0), "safe": field(2, 0),
            "endpoint": field(0, 2), "secret": field(0, 4)})),
        "8": object("Test.Rp/accounts", json!({"id": field(0, 10), "name": field(1, 9), "location": field(0, 1),
            "properties": field(7, 0)})),
        "9": resource("Test.Rp/accounts@2025-01-01", 8, 8),
        "10": object("Test.Rp/accounts/boxes", json!({"id": field(0, 10), "name": field(0, 9)})),
        "11": resource("Test.Rp/accounts/boxes@2025-01-01", 10, 8),
        "12": object("Test.Rp/grants", json!({"id": field(0, 10), "name": field(0, 9)})),
        "13": resource("Test.Rp/grants@2025-01-01", 12, 31),
        "14": {"$type": "DiscriminatedObjectType", "name": "Test.Rp/accounts/config", "discriminator": "name",
            "baseProperties": {}, "elements": {"settings": {"$ref": "#/16"}}},
        "15": {"$type": "StringLiteralType", "value": "settings"},
        "16": object("Settings", json!({"name": field(15, 9), "properties": field(17, 0)})),
        "17": {"$type": "ObjectType", "name": "Values", "properties": {}, "additionalProperties": {"$ref": "#/0"}},
        "18": resource("Test.Rp/accounts/config@2025-01-01", 14, 8),
    }}});
    Types::parse(&slice.to_string()).expect("the slice reads")
}

/// What is said of a template.
fn said(text: &str) -> Vec<String> {
    said_of(&[("main.bicep", text)])
}

fn said_of(files: &[(&str, &str)]) -> Vec<String> {
    check(&Project::of(files), Some(&types())).iter().map(ToString::to_string).collect()
}

/// An account with this in its properties, and this behind it.
fn account(properties: &str, behind: &str) -> String {
    format!(
        "@description('Where.')\nparam location string\n\
         resource account 'Test.Rp/accounts@2025-01-01' = {{\n  name: 'abc'\n  location: location\n  properties: {{\n{properties}\n  }}\n}}\n{behind}"
    )
}

#[track_caller]
fn only(found: &[String], part: &str) {
    assert!(
        found.len() == 1 && found[0].contains(part),
        "wanted one with {part:?}, found {found:#?}"
    );
}

#[test]
fn a_sound_template_is_passed_in_silence() {
    let behind = "resource box 'Test.Rp/accounts/boxes@2025-01-01' = [for it in ['a', 'b']: {\n  parent: account\n  name: it\n}]\n\
        resource grant 'Test.Rp/grants@2025-01-01' = {\n  name: guid(account.id, 'x')\n  scope: account\n}\n\
        resource values 'Test.Rp/accounts/config@2025-01-01' = {\n  parent: account\n  name: 'settings'\n  properties: { A: account.properties.endpoint }\n}\n\
        @description('Where it answers.')\noutput endpoint string = '${account.properties.endpoint}${box[0].name}'\n";
    assert_eq!(said(&account("tier: 'Hot'\ndays: 7\nsafe: true", behind)), Vec::<String>::new());
}

#[test]
fn what_does_not_fit_the_type_is_named_with_its_line_and_column() {
    only(
        &said(&account("teir: 'Hot'", "")),
        "main.bicep:7:1: AccountProperties has no property \"teir\". Did you mean \"tier\"?",
    );
    only(&said(&account("tier: 'Hott'", "")), "Did you mean \"Hot\"?");
    only(&said(&account("days: 8", "")), "at most 7");
    only(&said(&account("safe: 'yes'", "")), "a bool");
    only(&said(&account("endpoint: 'x'", "")), "only read");
}

#[test]
fn what_is_read_must_be_there_to_be_read() {
    let output = |value: &str| {
        account("safe: true", &format!("@description('It.')\noutput it string = {value}\n"))
    };
    only(&said(&output("account.properties.endpiont")), "Did you mean \"endpoint\"?");
    only(&said(&output("account.properties.secret")), "written only");
    only(&said(&output("acount.id")), "Did you mean \"account\"?");
    only(&said(&output("toLowre(location)")), "Did you mean \"toLower\"?");
    only(&said(&output("split(location, ',')")), "a string, not an array");
}

#[test]
fn names_conditions_and_loops_need_values_that_are_known_at_the_start() {
    let grant = |name: &str, body: &str| {
        account(
            "safe: true",
            &format!("resource grant 'Test.Rp/grants@2025-01-01' = {body}{{\n  name: {name}\n}}\n"),
        )
    };
    only(&said(&grant("account.properties.endpoint", "")), "account.properties is not");
    only(
        &said(&grant("'x'", "if (account.properties.endpoint == 'y') ")),
        "A condition must be known",
    );
    assert_eq!(said(&grant("account.name", "if (account.id != location) ")), Vec::<String>::new());
}

#[test]
fn a_conditional_resource_is_not_read_without_a_question() {
    let text = |read: &str| {
        "@description('Whether.')\nparam wanted bool\n\
         resource a 'Test.Rp/accounts@2025-01-01' = if (wanted) {\n  name: 'abc'\n  location: 'global'\n}\n"
            .to_owned()
            + &format!("@description('It.')\noutput it string = {read}\n")
    };
    only(&said(&text("a.properties.endpoint")), "may not be there");
    assert_eq!(said(&text("a!.properties.endpoint")), Vec::<String>::new());
    assert_eq!(said(&text("a.?properties.endpoint ?? ''")), Vec::<String>::new());
    assert_eq!(said(&text("a.id")), Vec::<String>::new());
}

#[test]
fn a_module_is_given_what_it_asks_for_and_nothing_else() {
    const INNER: &str = "@description('How many.')\n@minValue(1)\nparam count int\n@description('It.')\noutput twice int = count * 2\n";
    let main = |params: &str, read: &str| {
        format!(
            "module m 'inner.bicep' = {{\n  params: {{\n{params}\n  }}\n}}\n@description('It.')\noutput it int = m.outputs.{read}\n"
        )
    };
    let said = |params: &str, read: &str| {
        said_of(&[("main.bicep", &main(params, read)), ("inner.bicep", INNER)])
    };
    assert_eq!(said("count: 2", "twice"), Vec::<String>::new());
    only(&said("count: 0", "twice"), "at least 1");
    only(&said("", "twice"), "\"count\" must be given");
    only(&said("count: 2\ncuont: 2", "twice"), "Did you mean \"count\"?");
    only(&said("count: 2", "twise"), "Did you mean \"twice\"?");
}

#[test]
fn a_parameter_file_gives_each_parameter_that_has_no_default() {
    const MAIN: &str = "@description('Which.')\n@allowed(['dev', 'prod'])\nparam which string\n@description('It.')\noutput it string = which\n";
    let said = |text: &str| said_of(&[("main.bicep", MAIN), ("env/dev.bicepparam", text)]);
    assert_eq!(
        said("using '../main.bicep'\nparam which = readEnvironmentVariable('WHICH')\n"),
        Vec::<String>::new()
    );
    only(&said("using '../main.bicep'\nparam which = 'test'\n"), "'dev' | 'prod'");
    only(&said("using '../main.bicep'\n"), "\"which\" must be given");
    only(&said("using '../mian.bicep'\nparam which = 'dev'\n"), "There is no template");
}

#[test]
fn commas_that_the_compiler_refuses_are_refused() {
    only(
        &said("@description('It.')\noutput it object = {\n  a: 1,\n  b: 2\n}\n"),
        "take the comma away",
    );
    only(
        &said("@description('It.')\noutput it array = [\n  first([1])\n  ,\n]\n"),
        "take the comma away",
    );
    let one_line = "@description('It.')\nparam a string\n@description('It.')\noutput it object = { a: a, b: [1, 2] }\n";
    assert_eq!(said(one_line), Vec::<String>::new());
}

#[test]
fn a_template_is_read_without_types_too_and_expressions_are_still_checked() {
    let text = "@description('It.')\noutput it string = toLower(1)\n";
    let project = Project::of(&[("main.bicep", text)]);
    let found: Vec<String> = check(&project, None).iter().map(ToString::to_string).collect();
    only(&found, "a string, not 1");
}

#[test]
fn without_types_a_registration_needs_no_name_and_anything_of_azure_does() {
    let said = |text: &str| -> Vec<String> {
        check(&Project::of(&[("main.bicep", text)]), None).iter().map(ToString::to_string).collect()
    };
    let graph = "extension microsoftGraphV1\nresource a 'Microsoft.Graph/applications@v1.0' = {\n  uniqueName: 'a'\n}\n";
    assert_eq!(said(graph), Vec::<String>::new());
    only(
        &said("resource a 'Test.Rp/accounts@2025-01-01' = {\n  location: 'global'\n}\n"),
        "needs the property \"name\"",
    );
}

#[test]
fn what_the_compiler_takes_is_not_refused() {
    const GROUP: &str = "Microsoft.Resources/resourceGroups@2025-04-01";
    let found = check(
        &Project::of(&[
            (
                "main.bicep",
                &format!(
                    "targetScope = 'subscription'\nresource group '{GROUP}' = {{\n  name: 'rg'\n  location: 'Global'\n}}\n\
                     module m 'inner.bicep' = {{\n  scope: group\n}}\n"
                ),
            ),
            (
                "inner.bicep",
                "@description('It.')\nparam it string?\n@description('It.')\noutput it string? = it\n",
            ),
        ]),
        None,
    );
    assert_eq!(found, [], "a group made here is waited for, and Global is no place");
    let box_of = |name: &str| {
        let behind =
            "var both = '${location}/x'\nresource box 'Test.Rp/accounts/boxes@2025-01-01' = {\n";
        said(&account(
            "safe: true",
            &format!("{behind}  name: {name}\n  dependsOn: [account]\n}}\n"),
        ))
    };
    assert_eq!(box_of("both"), Vec::<String>::new());
    assert_eq!(box_of("'${both}'").len(), 1, "simplify-interpolation alone");
    only(&box_of("'${both}/a/b'"), "must have 1 slashes");
    let existing = "resource there 'Test.Rp/accounts@2025-01-01' existing = {\n  name: 'abcd'\n}\n\
         resource grant 'Test.Rp/grants@2025-01-01' = {\n  name: guid(there.id)\n  dependsOn: [there]\n}\n";
    assert_eq!(said(existing), Vec::<String>::new());
}

#[test]
fn a_loop_stands_alone_or_is_the_value_of_a_property() {
    let text = |output: &str| {
        format!(
            "@description('It.')\nparam it string[]\n@description('It.')\noutput all array = {output}\n"
        )
    };
    assert_eq!(said(&text("[for one in it: { a: one }]")), Vec::<String>::new());
    only(&said(&text("concat([for one in it: one], [1])")), "A loop does not stand here");
    only(&said(&text("[for one in it: { a: [for other in it: other] }]")), "A loop does not stand");
    let values = |value: &str| {
        account(
            "safe: true",
            &format!(
                "resource values 'Test.Rp/accounts/config@2025-01-01' = [for one in ['a', 'b']: {{\n  parent: account\n  name: 'settings'\n  properties: {value}\n}}]\n"
            ),
        )
    };
    let nested = "{}\n  resource box 'boxes' = {\n    name: 'b'\n  }";
    assert!(said(&values(nested)).iter().any(|it| it.contains("of which there are many")));
    let looped = values("[for it in ['a']: it]");
    assert!(!said(&looped).iter().any(|it| it.contains("loop-place")), "{:?}", said(&looped));
}
