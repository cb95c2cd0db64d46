//! Policies as they lie in files: a bare `pluginConfig`, or the Kubernetes manifests that carry one. YAML or JSON.
//!
//! Of manifests, WasmPlugin and TrafficExtension of `extensions.istio.io` count, also in a List, as `kubectl get -o yaml`
//! prints; what else a file holds is passed over. Knows what is around a policy, and nothing of what is in it.

use std::fmt;
use std::path::{Path, PathBuf};

use scimesh_engine::lint::Placement;
use scimesh_engine::{InvalidPolicy, Policy};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::config::{self, BadFile};

/// Istio's group of both kinds. Others have a WasmPlugin too.
const GROUP: &str = "extensions.istio.io/";

/// A policy as somebody wrote it down, not parsed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Where it stands.
    pub origin: Origin,
    /// Which proxies its manifest puts it on; none if there is no manifest.
    pub placement: Option<Placement>,
    /// The `pluginConfig`.
    config: Value,
}

/// Where a policy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// The line, counted from 1, on which its document, or its item of a List, starts.
    pub line: u64,
    /// The manifest around it, if there is one.
    pub manifest: Option<Manifest>,
}

/// What a manifest says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `WasmPlugin` or `TrafficExtension`.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// `metadata.name`, or `metadata.generateName`.
    pub name: String,
}

/// Why a file gives no policies.
#[derive(Debug, thiserror::Error)]
pub enum BadPolicyFile {
    /// It can't be read, or is no YAML.
    #[error(transparent)]
    File(#[from] BadFile),
    /// It is YAML, and holds no policy.
    #[error(
        "{}: no policy in it: neither a pluginConfig nor a WasmPlugin or TrafficExtension with one",
        .0.display()
    )]
    NoPolicy(PathBuf),
    /// A policy in it does not parse.
    #[error("{origin}: {why}")]
    Invalid {
        /// Which.
        origin: Box<Origin>,
        /// The rule, the field, and what is wrong with it.
        why: InvalidPolicy,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        let Some(manifest) = &self.manifest else {
            return match self.line {
                1 => Ok(()),
                line => write!(f, ":{line}"),
            };
        };
        write!(f, ":{}: {} ", self.line, manifest.kind)?;
        if let Some(namespace) = &manifest.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&manifest.name)
    }
}

impl Written {
    /// The `pluginConfig`, as JSON.
    pub fn json(&self) -> String {
        self.config.to_string()
    }

    /// Parses it, strictly, as the filter does.
    pub fn parse(&self) -> Result<Policy, BadPolicyFile> {
        Policy::parse(self.json().as_bytes()).map_err(|why| BadPolicyFile::Invalid {
            origin: Box::new(self.origin.clone()),
            why,
        })
    }
}

/// Every policy in a file, in its order, and at least one; `-` is standard input. A key that is there twice is an error.
pub fn read(path: &Path) -> Result<Vec<Written>, BadPolicyFile> {
    find(path, &config::read(path)?)
}

/// Every policy in a text that is said to be from `path`.
fn find(path: &Path, text: &str) -> Result<Vec<Written>, BadPolicyFile> {
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple(text).map_err(|error| BadFile::Malformed {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
    let mut found = Vec::new();
    for document in documents {
        let line = document.referenced.line();
        for value in items(document.value) {
            found.extend(written(path, line, value));
        }
    }
    match found.is_empty() {
        true => Err(BadPolicyFile::NoPolicy(path.to_owned())),
        false => Ok(found),
    }
}

/// A bare policy that stands within something else.
pub(super) fn bare(path: &Path, line: u64, config: Value) -> Written {
    Written {
        origin: Origin {
            path: path.to_owned(),
            line,
            manifest: None,
        },
        placement: None,
        config,
    }
}

/// The items of a List of Kubernetes, or the document itself.
fn items(mut document: Value) -> Vec<Value> {
    let kind = document.get("kind").and_then(Value::as_str);
    let list = kind.is_some_and(|kind| kind.ends_with("List"));
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if list => items,
        _ => vec![document],
    }
}

/// The policy in a document. None if it is of something else.
fn written(path: &Path, line: u64, mut document: Value) -> Option<Written> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let Some(kind) = text(document.get("kind")) else {
        return Some(bare(path, line, document));
    };
    let group = text(document.get("apiVersion"));
    let inside = match kind.as_str() {
        "WasmPlugin" => "/spec/pluginConfig",
        "TrafficExtension" => "/spec/wasm/pluginConfig",
        _ => return None,
    };
    if !group.is_some_and(|group| group.starts_with(GROUP)) {
        return None;
    }
    let placement = placement(document.get("spec")?);
    let metadata = document.get("metadata");
    let of = |field| text(metadata.and_then(|metadata| metadata.get(field)));
    let manifest = Manifest {
        kind,
        namespace: of("namespace"),
        name: of("name")
            .or_else(|| of("generateName"))
            .unwrap_or_default(),
    };
    let config = document.pointer_mut(inside)?.take();
    // What has none of these is the configuration of somebody else's plugin.
    let ours = ["tenant", "feed", "rules"];
    ours.iter().find(|field| config.get(field).is_some())?;
    let mut written = bare(path, line, config);
    written.origin.manifest = Some(manifest);
    written.placement = Some(placement);
    Some(written)
}

/// Without `targetRefs` a plugin goes to the pods that it selects. Among these may be a gateway's, which nobody can tell.
fn placement(spec: &Value) -> Placement {
    let targets = spec.get("targetRefs").and_then(Value::as_array);
    let Some(targets) = targets.filter(|targets| !targets.is_empty()) else {
        return Placement::Sidecar;
    };
    // A service has no proxy of its own but a waypoint.
    let service = |target: &Value| {
        matches!(
            target.get("kind").and_then(Value::as_str),
            Some("Service" | "ServiceEntry")
        )
    };
    match targets.iter().all(service) {
        true => Placement::Waypoint,
        false => Placement::Gateway,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "{ tenant: corp, feed: { cluster: c }, rules: [{ name: all, to: [{ methods: ['*'] }], allow: NOBODY }] }";

    fn found(text: &str) -> Vec<Written> {
        find(Path::new("p.yaml"), text).unwrap()
    }

    fn complaint(text: &str) -> String {
        match find(Path::new("p.yaml"), text) {
            Err(error) => error.to_string(),
            Ok(found) => {
                let mut policies = found.iter().map(Written::parse);
                let error = policies.find_map(Result::err);
                error.unwrap().to_string()
            }
        }
    }

    #[test]
    fn a_bare_policy_is_read_as_yaml_or_json() {
        for text in [CONFIG, &found(CONFIG)[0].config.to_string()] {
            let [written] = found(text).try_into().unwrap();
            assert_eq!(written.origin.to_string(), "p.yaml");
            assert_eq!(written.placement, None);
            assert_eq!(written.parse().unwrap().scope().tenant(), "corp");
        }
    }

    #[test]
    fn manifests_say_where_each_policy_is_and_what_it_is_for() {
        let text = format!(
            "---\n# first\nkind: ConfigMap\napiVersion: v1\n---\n\nkind: WasmPlugin\napiVersion: extensions.istio.io/v1alpha1\n\
             metadata: {{ name: a, namespace: shop }}\nspec:\n  pluginConfig: {CONFIG}\n---\n---\n\
             kind: TrafficExtension\napiVersion: extensions.istio.io/v1alpha1\nmetadata: {{ name: b }}\nspec:\n  \
             targetRefs: [{{ kind: Gateway, name: g }}]\n  wasm:\n    pluginConfig: {CONFIG}\n"
        );
        let [a, b] = found(&text).try_into().unwrap();
        assert_eq!(a.origin.to_string(), "p.yaml:7: WasmPlugin shop/a");
        assert_eq!(b.origin.to_string(), "p.yaml:14: TrafficExtension b");
        assert_eq!(a.placement, Some(Placement::Sidecar));
        assert_eq!(b.placement, Some(Placement::Gateway));
        assert!(a.parse().is_ok() && b.parse().is_ok());
    }

    #[test]
    fn a_list_holds_manifests_and_a_service_has_a_waypoint() {
        let text = format!(
            "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n- kind: WasmPlugin\n  apiVersion: extensions.istio.io/v1alpha1\n  \
             metadata: {{ name: a }}\n  spec: {{ targetRefs: [{{ kind: Service, name: s }}], pluginConfig: {CONFIG} }}\n"
        );
        let [a] = found(&text).try_into().unwrap();
        assert_eq!(a.placement, Some(Placement::Waypoint));
        assert!(a.parse().is_ok());
    }

    #[test]
    fn what_is_no_policy_of_ours_is_passed_over_and_a_file_without_one_is_an_error() {
        for text in [
            "",
            "---\n",
            "# nothing\n",
            "kind: ConfigMap\napiVersion: v1\n",
            &format!(
                "kind: WasmPlugin\napiVersion: extensions.higress.io/v1\nspec: {{ pluginConfig: {CONFIG} }}\n"
            ),
            "kind: WasmPlugin\napiVersion: extensions.istio.io/v1alpha1\nspec: { pluginConfig: { openapi: x } }\n",
            "kind: WasmPlugin\napiVersion: extensions.istio.io/v1alpha1\nspec: {}\n",
        ] {
            let said = complaint(text);
            assert!(
                said.contains("p.yaml: no policy in it"),
                "{text}\n-> {said}"
            );
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let plugin = |config: &str| {
            format!(
                "kind: WasmPlugin\napiVersion: extensions.istio.io/v1alpha1\nmetadata: {{ name: a }}\nspec:\n  pluginConfig: {config}\n"
            )
        };
        for (text, said) in [
            (
                plugin(&CONFIG.replace("allow: NOBODY", "allow: EVERYBODY")),
                "p.yaml:1: WasmPlugin a: rules[0].allow",
            ),
            (
                plugin(&CONFIG.replace("allow: NOBODY", "require: { noneOf: }")),
                "null",
            ),
            (
                plugin(&CONFIG.replace("tenant: corp", "tenant: corp, tenant: acme")),
                "line 5",
            ),
            ("tenant: corp\nrules: [\n".to_owned(), "line "),
            ("tenant: corp\n".to_owned(), "feed"),
            ("- tenant: corp\n".to_owned(), "object"),
        ] {
            let complaint = complaint(&text);
            assert!(complaint.contains(said), "{text}\n-> {complaint}");
        }
    }
}
