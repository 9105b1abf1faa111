//! Signed plans.

use super::Level::Error;
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::View;

pub const RULES: &[Rule] = &[
    Rule {
        code: "sign-key",
        level: Error,
        doc: "`server.sign_key` is a secret key of minisign's form that can be read, without a password.",
        advice: "make one with `diskless plan keygen site`, and let this server's user or group read it",
        run: Run::Files(key),
    },
    Rule {
        code: "sign-node",
        level: Error,
        doc: "Where plans are signed, a node has a MAC or a system UUID, or its `plan.validity.node` says which it is.",
        advice: "give the node one: a plan that could be for any node is refused",
        run: Run::Site(node),
    },
];

fn key(view: &View<'_>, found: &mut Found) {
    if let (Some(path), Some(why)) = (&view.site.file.server.sign_key, view.site.signer.wrong()) {
        found.at(path.display().to_string(), why);
    }
}

fn node(view: &View<'_>, found: &mut Found) {
    if view.site.file.server.sign_key.is_none() {
        return;
    }
    for plan in &view.plans {
        let has_mac = plan.node.interfaces.values().any(|interface| interface.mac.is_some());
        let says = plan.document.pointer("/validity/node").is_some();
        if !has_mac && plan.node.uuid.is_none() && !says {
            found.node(&plan.node.name, "", "has neither MAC nor UUID to bind its plan to");
        }
    }
}
