//! Lines to paste into another terminal.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use scimesh_tests::artifact;
use scimesh_tests::scim::PATCH_OP;
use serde_json::{Value, json};

use crate::scenes::REFUND;
use crate::stage::Stage;

/// Writes the tokens and ids to files and prints the lines.
pub(crate) fn print(stage: &Stage, dir: &Path) -> Result<()> {
    let acme = &stage.acme;
    let tokens = dir.join("tokens");
    fs::create_dir(&tokens)?;
    for (name, token) in [
        ("anna", acme.token(0)?),
        ("dora", acme.token(3)?),
        ("globex-1001", stage.globex.token(0)?),
        ("scim-acme", acme.scim.token().to_owned()),
    ] {
        fs::write(tokens.join(name), token)?;
    }
    let ids = dir.join("ids");
    fs::create_dir(&ids)?;
    let anna = acme.loaded.people.first().context("Anna")?;
    let admins = acme.group("payments-admins")?;
    fs::write(ids.join("anna"), anna)?;
    fs::write(ids.join("payments-admins"), admins)?;

    let bearer = |name: &str| {
        format!(
            "-H \"Authorization: Bearer $(cat '{}')\"",
            tokens.join(name).display()
        )
    };
    let refund = |who: &str| {
        format!(
            "curl -i -X POST {} {}",
            bearer(who),
            stage.envoy.url(REFUND)
        )
    };
    let scim = |body: &Value, path: &str| {
        format!(
            "curl -i -X PATCH {} -H 'Content-Type: application/scim+json' -d '{body}' http://{}/scim/v2{path}",
            bearer("scim-acme"),
            stage.feeder.scim_address(),
        )
    };
    let patch = |operation: Value| json!({ "schemas": [PATCH_OP], "Operations": [operation] });
    let group = format!("/Groups/{admins}");
    println!("\nNow you, from another terminal (the tokens are good for 12 hours):\n");
    println!("# Anna may\n{}\n", refund("anna"));
    println!(
        "# ... and read the ledger, which is for finance, two groups further up\ncurl -i {} {}\n",
        bearer("anna"),
        stage.envoy.url("/ledger")
    );
    println!(
        "# Her identity provider removes her from the group: now she may neither\n{}\n",
        scim(
            &patch(json!({ "op": "remove", "path": format!("members[value eq \"{anna}\"]") })),
            &group
        )
    );
    println!(
        "# ... puts her back: she may both again\n{}\n",
        scim(
            &patch(json!({ "op": "add", "path": "members", "value": [{ "value": anna }] })),
            &group
        )
    );
    println!(
        "# ... and ends her account: her token is as valid as ever, and she may nothing\n{}\n",
        scim(
            &patch(json!({ "op": "replace", "path": "active", "value": false })),
            &format!("/Users/{anna}")
        )
    );
    println!(
        "# ... opens it again\n{}\n",
        scim(
            &patch(json!({ "op": "replace", "path": "active", "value": true })),
            &format!("/Users/{anna}")
        )
    );
    println!(
        "# Dora is an admin too, but a contractor\n{}\n",
        refund("dora")
    );
    println!(
        "# The same `sub`, from another company's issuer\n{}\n",
        refund("globex-1001")
    );
    println!(
        "# What the feeder knows\n'{}' --data-dir '{}' dump --tenant acme\n",
        artifact::feeder()?.display(),
        stage.feeder.data_dir().display()
    );
    println!("Ctrl-C ends all of it.");
    Ok(())
}
