//! The shipped manifests say what feeder and filter understand.

use std::path::Path;

use scimesh_engine::Policy;
use serde_json::Value;

use crate::feeder::{Place, scimesh};

fn manifest(name: &str, kind: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../istio-manifests")
        .join(name);
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut documents = documents.into_iter();
    documents.find(|document| document["kind"] == kind).unwrap()
}

#[test]
fn the_policy_of_the_wasm_plugin_is_one_and_leads_to_the_service() {
    let plugin = manifest("workload/20-wasm-plugin.yaml", "WasmPlugin");
    let policy = Policy::parse(plugin["spec"]["pluginConfig"].to_string().as_bytes()).unwrap();
    let service = manifest("feeder/20-feeder.yaml", "Service");
    let metadata = &service["metadata"];
    let (name, namespace) = (&metadata["name"], &metadata["namespace"]);
    let port = &service["spec"]["ports"][0]["port"];
    let host = format!(
        "{}.{}.svc.cluster.local",
        name.as_str().unwrap(),
        namespace.as_str().unwrap()
    );
    assert_eq!(policy.feed().cluster, format!("outbound|{port}||{host}"));
}

#[test]
fn the_feeder_starts_with_the_environment_of_its_manifest() {
    let feeder = manifest("feeder/20-feeder.yaml", "StatefulSet");
    let container = &feeder["spec"]["template"]["spec"]["containers"][0];
    let help = scimesh().args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut serve = scimesh();
    let place = Place::new();
    for variable in container["env"].as_array().unwrap() {
        let (name, value) = (
            variable["name"].as_str().unwrap(),
            variable["value"].as_str().unwrap(),
        );
        assert!(
            help.contains(&format!("[env: {name}=]")),
            "{name} is no variable of `serve`"
        );
        match name {
            // Its ports may be in use here, and its path is not ours to write to.
            _ if name.ends_with("_LISTEN") => {
                let host = value.rsplit_once(':').unwrap().0;
                serve.env(name, format!("{host}:0"));
            }
            "SCIMESH_DATA_DIR" => {
                serve.env(name, place.data_dir());
            }
            "SCIMESH_CONFIG" => {
                let config = manifest("feeder/15-config.yaml", "ConfigMap");
                let file = value.rsplit_once('/').unwrap().1;
                let text = config["data"][file].as_str().unwrap();
                serve.env(name, place.write("scimesh.yaml", text));
            }
            _ => {
                serve.env(name, value);
            }
        }
    }
    let arguments = container["args"].as_array().unwrap().iter();
    serve.args(arguments.map(|argument| argument.as_str().unwrap()));
    let _feeder = place.start_as(serve);
    // The workload's policy asks for a tenant that its account may have.
    let plugin = manifest("workload/20-wasm-plugin.yaml", "WasmPlugin");
    let tenant = &plugin["spec"]["pluginConfig"]["tenant"];
    let namespace = &plugin["metadata"]["namespace"];
    let lists = "{ tenants: {}, feedAccess: [] }";
    let lists = place.write("nobody.yaml", lists);
    let rules = place.json(&["apply", "--dry-run", "-f", lists.to_str().unwrap()]);
    let rule = &rules["changes"][0]["rule"];
    let peer = format!(
        "spiffe://cluster.local/ns/{}/sa/*",
        namespace.as_str().unwrap()
    );
    assert_eq!((&rule["peer"], &rule["tenants"][0]), (&peer.into(), tenant));
}
