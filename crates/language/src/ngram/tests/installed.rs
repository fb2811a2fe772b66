//! Against the installed US English model and the Sphinx tools.

use std::process::Command;

use super::dmp_writer::dmp_of;
use super::*;

const MODEL: &str = "/usr/share/pocketsphinx/model/en-us";

/// The pocketsphinx model file of this name, or `None` after saying that the test is skipped.
fn model(test: &str, name: &str) -> Option<NgramModel> {
    let folder = std::env::var("DICTUM_MODEL_DIR").unwrap_or_else(|_| MODEL.to_owned());
    let path = Path::new(&folder).join(name);
    if !path.exists() {
        println!(
            "skipped: {test}: {name} is not installed (Debian package pocketsphinx-en-us; or set DICTUM_MODEL_DIR)"
        );
        return None;
    }
    Some(NgramModel::open(path).expect("the installed model opens"))
}

#[test]
fn us_english_probabilities_are_the_published_ones() {
    let Some(model) = model("us_english_probabilities", "en-us.lm.bin") else { return };
    // The header counts 2 051 547 bigrams, six of which belong to no word.
    assert_eq!((model.order(), model.count(1), model.count(2), model.count(3)), (3, 72_547, 2_051_541, 1_669_625));
    assert!((log10(&model, &["of"], "the") + 0.699).abs() < 1e-3);
    assert!((log10(&model, &["the", "united"], "states") + 0.053).abs() < 1e-3);
}

#[test]
fn us_english_probabilities_sum_to_one() {
    let Some(model) = model("us_english_sums", "en-us.lm.bin") else { return };
    let histories: &[&[&str]] =
        &[&[], &["of"], &["the", "united"], &["dashwood"], &["<s>"], &["<s>", "i"], &["zoology", "the"]];
    for history in histories {
        let state = state(&model, history);
        let sum: f64 = (0..model.count(1) as u32).map(|word| f64::from(model.step(state, word).1).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{history:?}: {sum}");
    }
}

#[test]
fn us_english_followers_are_what_steps_find() {
    let Some(model) = model("us_english_followers", "en-us.lm.bin") else { return };
    let mut total = 0;
    for word in (0..model.count(1) as u32).step_by(7) {
        let state = LmState::after(word);
        model.bigrams_after(word, &mut |next, probability| {
            total += 1;
            assert_eq!(model.step(state, next).1, probability);
        });
    }
    assert!(total > 200_000, "{total}");
}

#[test]
fn phone_model_survives_every_format() {
    let Some(model) = model("phone_model_formats", "en-us-phone.lm.bin") else { return };
    let mut arpa = Vec::new();
    model.write_arpa(&mut arpa).unwrap();
    // Never-predicted words have values about -230, of which seven digits are kept.
    assert_same(&parse_arpa(&arpa).unwrap(), &model, 5e-5);
    let mut trie = Vec::new();
    model.write_trie(&mut trie).unwrap();
    assert_same(&parse_trie(&trie).unwrap(), &model, 1e-4);
    assert_same(&parse_dmp(&dmp_of(&model, false)).unwrap(), &model, 5e-5);
}

/// Runs a Sphinx tool; `None` after saying that the test is skipped.
fn tool(test: &str, command: &mut Command) -> Option<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(output.status.success(), "{name} failed:\n{text}");
            Some(text)
        }
        Err(_) => {
            println!("skipped: {test}: {name} is not installed (Debian package sphinxbase-utils)");
            None
        }
    }
}

#[test]
fn tries_that_the_sphinx_tools_write_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (arpa, trie) = (folder.path().join("small.arpa"), folder.path().join("small.lm.bin"));
    // The tool takes no blanks around '='.
    std::fs::write(&arpa, SMALL.replace("ngram  2 = 5", "ngram 2=5")).unwrap();
    let mut command = Command::new("sphinx_lm_convert");
    command.arg("-i").arg(&arpa).arg("-o").arg(&trie);
    if tool("tries_of_sphinx_tools", &mut command).is_some() {
        let model = NgramModel::open(&trie).unwrap();
        assert_same(&model, &parse_arpa(SMALL.as_bytes()).unwrap(), 1e-4);
    }
}

/// `sphinx_lm_eval`'s score of each word, in logarithms to the base 1.0001 rounded to integers, and ours.
fn compare_scores(test: &str, model: &NgramModel, path: &Path, text: &str) -> Option<()> {
    let mut command = Command::new("sphinx_lm_eval");
    command.arg("-lm").arg(path).args(["-verbose", "yes", "-text", text]);
    let output = tool(test, &mut command)?;
    // The tool reports the last word first, and does not begin with <s>.
    let lines = output.lines().filter(|line| line.starts_with("log P("));
    let mut theirs: Vec<f64> = lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    theirs.reverse();
    assert_eq!(theirs.len(), text.split(' ').count(), "{output}");
    let mut state = LmState::EMPTY;
    for (word, theirs) in text.split(' ').zip(theirs) {
        let (next, probability) = model.step(state, model.vocabulary().id(word).unwrap());
        let ours = f64::from(probability) / 1.0001f64.ln();
        assert!((ours - theirs).abs() < 2.0, "{}: {word}: {ours}, {theirs}", path.display());
        state = next;
    }
    Some(())
}

#[test]
fn the_sphinx_tools_give_the_same_probabilities() {
    let test = "sphinx_tools_same_probabilities";
    let Some(model) = model(test, "en-us.lm.bin") else { return };
    let folder = std::env::var("DICTUM_MODEL_DIR").unwrap_or_else(|_| MODEL.to_owned());
    let path = Path::new(&folder).join("en-us.lm.bin");
    let text = "the united states of america has been a zoology of the dashwood family and who would have thought it";
    compare_scores(test, &model, &path, text);
}

#[test]
fn the_sphinx_tools_read_our_files_alike() {
    let test = "sphinx_tools_alike";
    let Some(model) = model(test, "en-us-phone.lm.bin") else { return };
    let folder = tempfile::tempdir().unwrap();
    let [arpa, trie, dmp] = ["phones.arpa", "phones.lm.bin", "phones.lm.DMP"].map(|name| folder.path().join(name));
    model.write_arpa(File::create(&arpa).unwrap()).unwrap();
    model.write_trie(File::create(&trie).unwrap()).unwrap();
    std::fs::write(&dmp, dmp_of(&model, false)).unwrap();
    for path in [arpa, trie, dmp] {
        if compare_scores(test, &model, &path, "SIL DH AH SIL K AE T S AE T SIL ZH ZH OY UH").is_none() {
            return;
        }
    }
}
