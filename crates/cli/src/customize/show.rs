//! Custom models for people to look at.

use serde_json::{Value, json};

use super::models::{Kind, Models};
use crate::failure::Failure;
use crate::output::{Table, print};

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn joined(value: &Value, between: &str) -> String {
    value.as_array().map(|items| items.iter().map(text).collect::<Vec<_>>().join(between)).unwrap_or_default()
}

/// Whether something is wrong with a word.
pub fn is_wrong(word: &Value) -> bool {
    word["error"].as_array().is_some_and(|errors| !errors.is_empty())
}

/// What is wrong with a word.
pub fn errors(word: &Value) -> String {
    let members = word["error"].as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
    let told: Vec<String> = members.map(|(item, why)| format!("{item:?}: {}", text(why))).collect();
    format!("{}: {}", text(&word["word"]), told.join("; "))
}

/// What a model says of a grammar (GRM-4): a document within a string.
pub fn grammar_error(error: &str) -> String {
    let inner = serde_json::from_str::<Value>(error).ok();
    inner.and_then(|inner| inner["error"].as_str().map(str::to_owned)).unwrap_or_else(|| error.to_owned())
}

/// How much there is in a corpus or a grammar.
pub fn counts(kind: Kind, found: &Value) -> String {
    let new = text(&found["out_of_vocabulary_words"]);
    match kind {
        Kind::Corpus => format!("{} words, {new} of them new", text(&found["total_words"])),
        Kind::Grammar => format!("{new} new words"),
    }
}

/// Prints a list of models.
pub fn list(models: &[Value], json: bool) -> Result<(), Failure> {
    if json {
        return print(&format!("{:#}\n", json!({ "customizations": models })));
    }
    let mut table = Table::new(&["ID", "NAME", "BASE MODEL", "STATUS", "UPDATED"]);
    for model in models {
        table.row(["customization_id", "name", "base_model_name", "status", "updated"].map(|it| text(&model[it])));
    }
    print(&table.to_string())
}

/// Prints a model and what is in it.
pub async fn model(models: &Models, id: &str, with_words: bool, json: bool) -> Result<(), Failure> {
    let model = models.model(id).await?;
    let corpora = models.texts(id, Kind::Corpus).await?;
    // Some base models have none, and say so.
    let grammars = models.texts(id, Kind::Grammar).await.unwrap_or_default();
    let words = models.words(id, "all").await?;
    if json {
        let document = json!({ "model": model, "corpora": corpora, "grammars": grammars, "words": words });
        return print(&format!("{document:#}\n"));
    }
    let mut out = String::new();
    let members = [
        ("id", "customization_id"),
        ("name", "name"),
        ("description", "description"),
        ("base model", "base_model_name"),
        ("dialect", "dialect"),
        ("status", "status"),
        ("created", "created"),
        ("updated", "updated"),
        ("error", "error"),
    ];
    for (heading, member) in members {
        let value = text(&model[member]);
        if !value.is_empty() {
            out += &format!("{heading:<12} {value}\n");
        }
    }
    out += &format!("{:<12} {}\n", "versions", joined(&model["versions"], ", "));
    let by_user = words.iter().filter(|word| word["source"].as_array().is_some_and(|it| it.contains(&json!("user"))));
    let by_user = by_user.count();
    out += &format!("{:<12} {}, {by_user} of them added or changed by the user\n", "words", words.len());
    out += &texts("CORPUS", &corpora, &["name", "status", "total_words", "out_of_vocabulary_words", "error"]);
    out += &texts("GRAMMAR", &grammars, &["name", "status", "", "out_of_vocabulary_words", "error"]);
    if with_words && !words.is_empty() {
        let mut table = Table::new(&["WORD", "SOUNDS LIKE", "WRITTEN", "COUNT", "SOURCE"]);
        for word in &words {
            table.row([
                text(&word["word"]),
                joined(&word["sounds_like"], " | "),
                text(&word["display_as"]),
                text(&word["count"]),
                joined(&word["source"], ", "),
            ]);
        }
        out += &format!("\n{table}");
    }
    let wrong: Vec<String> = words.iter().filter(|word| is_wrong(word)).map(errors).collect();
    if !wrong.is_empty() {
        out += &format!("\nwords with errors:\n  {}\n", wrong.join("\n  "));
    }
    print(&out)
}

fn texts(heading: &str, found: &[Value], members: &[&str]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[heading, "STATUS", "WORDS", "NEW WORDS", "ERROR"]);
    for item in found {
        table.row(members.iter().map(|member| text(&item[*member])));
    }
    format!("\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_word_and_what_is_wrong_with_it() {
        let word = json!({"word": "75.00", "error": [{"75 dollars": "Numbers are not allowed in sounds_like."}]});
        assert!(is_wrong(&word));
        assert_eq!(errors(&word), "75.00: \"75 dollars\": Numbers are not allowed in sounds_like.");
        assert!(!is_wrong(&json!({"word": "IEEE"})));
    }

    #[test]
    fn documents_within_strings_are_taken_out() {
        let error = json!({"code": 500, "error": "Cannot compile grammar: line 2"}).to_string();
        assert_eq!(grammar_error(&error), "Cannot compile grammar: line 2");
        assert_eq!(grammar_error("something else"), "something else");
    }
}
