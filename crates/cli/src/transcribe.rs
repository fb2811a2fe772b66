//! `dictum transcribe`: what is said in files.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use dictum_audio::ContentType;
use dictum_models::Registry;

use crate::args::{Format, TranscribeArgs};
use crate::clip::ClipError;
use crate::config::Settings;
use crate::failure::Failure;
use crate::formats::Transcript;
use crate::{parallel, progress, taught};

/// Transcribes every file; one that fails is told and does not keep the others from being transcribed.
pub fn run(args: &TranscribeArgs, registry: Registry, settings: &Settings) -> Result<(), Failure> {
    let ty = ContentType::parse(args.content_type.as_deref())
        .map_err(|error| Failure::new(format!("--content-type: {error}")))?;
    let outputs = outputs(args)?;
    if args.files.iter().filter(|file| file.as_path() == Path::new("-")).count() > 1 {
        return Err(Failure::usage("standard input (-) can be given once only"));
    }
    let spinner = progress::spinner("loading the model");
    let model = taught::load(registry, settings, &args.model)?;
    spinner.finish_and_clear();

    let bar = progress::bar(args.files.len());
    let work = |file: &PathBuf| -> Result<Transcript, ClipError> {
        let heard = model.recognise(file, &ty)?;
        Ok(Transcript::new(file, &model.entry.info.name, heard.seconds, heard.utterances))
    };
    let mut failed = 0;
    let mut write_error = None;
    let heading = args.files.len() > 1;
    parallel::in_order(&args.files, parallel::threads(args.jobs), work, |at, result| {
        bar.inc(1);
        let written = match result {
            Err(error) => {
                failed += 1;
                bar.suspend(|| eprintln!("dictum: {error}"));
                Ok(())
            }
            Ok(transcript) => {
                let text = transcript.render(args.format, heading && outputs.is_none());
                bar.suspend(|| write(outputs.as_ref().map(|outputs| outputs[at].as_path()), &text))
            }
        };
        write_error = written.err();
        write_error.is_none()
    });
    bar.finish_and_clear();
    match (write_error, failed) {
        (Some(failure), _) => Err(failure),
        (None, 0) => Ok(()),
        (None, failed) => Err(Failure::new(format!("{failed} of {} files could not be transcribed", args.files.len()))),
    }
}

/// Where each transcript goes, or `None` for standard output.
fn outputs(args: &TranscribeArgs) -> Result<Option<Vec<PathBuf>>, Failure> {
    let extension = match args.format {
        Format::Text => "txt",
        Format::Tsv => "tsv",
        Format::Json => "json",
        Format::Srt => "srt",
        Format::Vtt => "vtt",
        Format::Ctm => "ctm",
    };
    let Some(directory) = &args.output_dir else {
        if args.files.len() > 1 && matches!(args.format, Format::Srt | Format::Vtt) {
            return Err(Failure::usage(
                "subtitles of several files cannot be printed one after the other; add --output-dir DIR",
            ));
        }
        return Ok(None);
    };
    std::fs::create_dir_all(directory)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", directory.display())))?;
    let mut taken = HashSet::new();
    let mut outputs = Vec::new();
    for file in &args.files {
        let name = if file.as_path() == Path::new("-") {
            "stdin".as_ref()
        } else {
            file.file_stem().unwrap_or(file.as_os_str())
        };
        let mut name = name.to_owned();
        name.push(".");
        name.push(extension);
        let output = directory.join(name);
        if !taken.insert(output.clone()) {
            return Err(Failure::usage(format!(
                "two of the files would both be written to {}; transcribe them into different directories",
                output.display()
            )));
        }
        outputs.push(output);
    }
    Ok(Some(outputs))
}

fn write(path: Option<&Path>, text: &str) -> Result<(), Failure> {
    match path {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display()))),
        None => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::from_output)
        }
    }
}
