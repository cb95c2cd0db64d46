//! The pages of the identity providers: every command in them is done by a feeder, every policy is one, and every template makes a user.

use std::path::{Path, PathBuf};

use scimesh_engine::Policy;
use serde_json::Value;

use crate::feeder::Place;

/// A page and its text.
struct Page {
    name: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/idp");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let page = |path: &PathBuf| Page {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    };
    paths.iter().map(page).collect()
}

impl Page {
    /// Its commands, in their order: lines of code blocks, and whole commands in a sentence.
    fn commands(&self) -> Vec<&str> {
        let mut commands = Vec::new();
        for line in self.text.lines() {
            if line.starts_with("    ") && line.trim_start().starts_with("scimesh ") {
                commands.push(line.trim());
            } else {
                let code = line.split('`').skip(1).step_by(2);
                commands.extend(code.filter(|code| code.starts_with("scimesh ")));
            }
        }
        commands
    }

    /// Its blocks of this language.
    fn blocks(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if line.trim() == format!("```{language}") {
                let block = lines.by_ref().take_while(|line| line.trim() != "```");
                blocks.push(block.collect::<Vec<_>>().join("\n"));
            }
        }
        blocks
    }
}

#[test]
fn every_command_is_done() {
    let pages = pages();
    assert_eq!(pages.len(), 7);
    for page in pages {
        let place = Place::new();
        let _feeder = place.start();
        let commands = page.commands();
        assert!(commands.len() > 2, "{}", page.name);
        for command in commands {
            let words: Vec<&str> = command.split_whitespace().skip(1).collect();
            let output = place.run(&words);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {command}: {said}", page.name);
        }
    }
}

#[test]
fn every_policy_is_one_of_a_tenant_that_the_page_creates() {
    for page in pages() {
        let policies = page.blocks("yaml");
        assert_eq!(
            policies.is_empty(),
            page.name == "README.md",
            "{}",
            page.name
        );
        for text in policies {
            let document: Value = serde_saphyr::from_str(&text).unwrap();
            let policy = Policy::parse(document.to_string().as_bytes());
            assert!(policy.is_ok(), "{}: {policy:?}", page.name);
            let tenant = document["tenant"].as_str().unwrap();
            let create = format!("scimesh tenant create {tenant}");
            assert!(page.commands().contains(&create.as_str()), "{}", page.name);
        }
    }
}

#[test]
fn every_template_makes_a_user_with_all_that_a_binding_may_need() {
    let mut templates = 0;
    for page in pages() {
        for template in page.blocks("json") {
            templates += 1;
            let place = Place::new();
            let feeder = place.start();
            place.done(&["tenant", "create", "corp"]);
            let token = place.done(&["token", "create", "--tenant", "corp"]);
            let made = feeder.scim(token.trim_end(), "POST /scim/v2/Users", &template);
            assert_eq!(made.status, 201, "{}: {}", page.name, made.body);
            let sent: Value = serde_json::from_str(&template).unwrap();
            let made: Value = serde_json::from_str(&made.body).unwrap();
            for (name, value) in sent.as_object().unwrap() {
                assert_eq!(&made[name], value, "{}: {name}", page.name);
            }
            assert!(made["externalId"].is_string(), "{}", page.name);
        }
    }
    assert!(templates > 0);
}

#[test]
fn the_index_leads_to_every_page() {
    let pages = pages();
    let index = pages.iter().find(|page| page.name == "README.md").unwrap();
    for page in pages.iter().filter(|page| page.name != "README.md") {
        let link = format!("]({})", page.name);
        assert!(index.text.contains(&link), "{}", page.name);
    }
}
