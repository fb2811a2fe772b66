//! The documentation page of the parameters, written from the table.

use std::fmt::Write;

use super::{Effect, PARAMETERS, Parameter, Place};

/// `docs/api-parameters.md`.
pub fn page() -> String {
    let mut page = String::from(
        "<!-- Written by `DICTUM_WRITE_DOCS=1 cargo test -p dictum-watson page` from crates/watson/src/parameters/table.rs. -->\n\
         # Recognition parameters\n\n\
         What `POST /v1/recognize` takes in its query, or in the `metadata` of a multipart body, and what the asynchronous and\n\
         WebSocket interfaces take in theirs. (Custom models do not exist yet, so that a request that names one is answered\n\
         with 401.)\n\n\
         - **Models**: P previous generation (`*_BroadbandModel`, `*_NarrowbandModel`), N next generation (`*_Multimedia`,\n  \
           `*_Telephony`), L large (`en-US`). Other models ignore the parameter and say so: `Unknown arguments: NAME.`\n\
         - **Where**: Q query of `POST /v1/recognize`, M multipart metadata, J query of `POST /v1/recognitions`, W query of the\n  \
           WebSocket, S its `start` message. Elsewhere the parameter is unknown: `Unknown url query arguments: NAME.` in a\n  \
           query, `Unknown arguments: NAME.` in JSON.\n\
         - **Effect**: *yes*: as documented. *Not yet*: the value is checked, and when it asks for something, the answer warns:\n  \
           `Arguments without effect on this server: NAME.`\n\n\
         A value of the wrong type or out of range is answered with 400, in a `start` message with an error before the close.\n\n\
         | Name | Value | Default | Models | Where | Effect | Meaning |\n|---|---|---|---|---|---|---|\n",
    );
    for parameter in PARAMETERS {
        let effect = match parameter.effect {
            Effect::Works => "yes",
            Effect::Pending(_) => "not yet",
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {effect} | {} |",
            parameter.name,
            parameter.kind.expected(),
            parameter.default,
            parameter.models,
            places(parameter),
            parameter.doc.trim().replace('|', "\\|"),
        );
    }
    page
}

fn places(parameter: &Parameter) -> String {
    let letters = [
        (Place::Query, 'Q'),
        (Place::Metadata, 'M'),
        (Place::JobQuery, 'J'),
        (Place::SocketQuery, 'W'),
        (Place::SocketStart, 'S'),
    ];
    letters.into_iter().filter(|(place, _)| parameter.places.contains(place)).map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api-parameters.md");
        let wanted = page();
        if std::env::var_os("DICTUM_WRITE_DOCS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/api-parameters.md does not match the table: write it anew with DICTUM_WRITE_DOCS=1 cargo test -p dictum-watson page"
        );
    }
}
