//! The short form of fuzzing: the targets on their corpus, and on mutations of it. `fuzz/run.sh` is the long one.

use std::{fs, path::Path};

use octavo::fuzzing::{TARGETS, Target};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// Mutations of the corpus of each target.
const MUTATIONS: usize = 5_000;

/// The most bytes of an input: a mutation may join two.
const MOST: usize = 16_384;

/// What JSON, tokens, RESP and options are made of, beside bytes.
const WORDS: [&[u8]; 20] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\u0000",
    b"\\ud83d",
    b":",
    b",",
    b"null",
    b"1e999",
    b"-9223372036854775808",
    b"\r\n",
    b"$-1\r\n",
    b"*1\r\n",
    b"\n",
    b".",
    b"\"$serde_json::private::RawValue\":",
    b"{\"$in\":[]}",
    b"\xff",
];

#[test]
fn the_corpus_and_mutations_of_it_break_nothing() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    for (name, run) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() > 5, "{name} has no corpus");
        for input in &corpus {
            run(input);
        }
        mutate((name, run), &corpus, &mut StdRng::seed_from_u64(seed));
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Runs inputs that nobody has looked at; one that breaks something is printed.
fn mutate((name, run): Target, corpus: &[Vec<u8>], random: &mut StdRng) {
    for _ in 0..MUTATIONS {
        let mut input = pick(corpus, random).clone();
        for _ in 0..random.random_range(1..6) {
            step(&mut input, corpus, random);
            input.truncate(MOST);
        }
        let told = Told(name, &input);
        run(&input);
        drop(told);
    }
}

fn step(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    match random.random_range(0..6) {
        0 if at < input.len() => input[at] = random.random(),
        1 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        2 => {
            let end = random.random_range(at..=input.len());
            input.drain(at..end);
        }
        3 => {
            let end = random.random_range(at..=input.len());
            let part = input[at..end].to_vec();
            input.splice(at..at, part);
        }
        4 => {
            let other = pick(corpus, random);
            let from = random.random_range(0..=other.len());
            input.splice(at.., other[from..].iter().copied());
        }
        _ => {
            input.splice(at..at, pick(&WORDS, random).iter().copied());
        }
    }
}

fn pick<'a, T>(some: &'a [T], random: &mut StdRng) -> &'a T {
    &some[random.random_range(0..some.len())]
}

/// Prints the input when the target panics.
struct Told<'a>(&'a str, &'a [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{} breaks at {}", self.0, self.1.escape_ascii());
        }
    }
}
