//! The n-gram model over graphones, as a trie of histories.

/// Stands in [`Graphone`] where there is no second letter or no phone.
pub(super) const NONE: u8 = 0xFF;

/// Token of the beginning of a word; never predicted.
pub(super) const BEGIN: u16 = 0;
/// Token of the end of a word.
pub(super) const END: u16 = 1;
/// Token of the first graphone. Graphones are sorted, so those that begin with one letter have consecutive tokens.
pub(super) const FIRST_GRAPHONE: u16 = 2;

/// One or two letters, and none to two phones that they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Graphone {
    pub(super) letters: [u8; 2],
    pub(super) phones: [u8; 2],
}

impl Graphone {
    pub(super) fn letter_count(self) -> usize {
        if self.letters[1] == NONE { 1 } else { 2 }
    }

    pub(super) fn phones(&self) -> &[u8] {
        let count = self.phones.iter().take_while(|&&phone| phone != NONE).count();
        &self.phones[..count]
    }
}

/// Index of a node of the trie.
pub(super) type Node = u32;

/// The empty history.
pub(super) const ROOT: Node = 0;

/// All n-grams, level by level, each level in order of its tokens: node 0 is the empty history, then the unigrams, of
/// which every token has one, then the bigrams, and so on. A back-off model: what a history has no n-gram for is
/// predicted by the next shorter history that exists.
#[derive(Debug, Clone, Default)]
pub(super) struct NgramTrie {
    tokens: Vec<u16>,
    /// ln p(token | history).
    probability: Vec<f32>,
    /// ln of the weight of shorter histories, after this one.
    backoff: Vec<f32>,
    /// Children of node `n` are `first_child[n]..first_child[n + 1]`.
    first_child: Vec<Node>,
    /// The longest shorter history that exists.
    suffix: Vec<Node>,
    /// The longest history that exists and predicts something: where a search goes on after this n-gram.
    state: Vec<Node>,
}

/// What a trie is made of, without what follows from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes {
    /// Token of each node; the root's is not used.
    pub(super) tokens: Vec<u16>,
    pub(super) probability: Vec<f32>,
    pub(super) backoff: Vec<f32>,
    pub(super) child_counts: Vec<u32>,
}

impl NgramTrie {
    /// Links the nodes. The root must come first and have a child for every token `0..n`, in order; children follow
    /// level by level in the order of their parents; tokens of siblings ascend.
    pub(super) fn new(nodes: Nodes) -> Self {
        let count = nodes.tokens.len();
        let mut first_child = Vec::with_capacity(count + 1);
        let mut next: Node = 1;
        for children in &nodes.child_counts {
            first_child.push(next);
            next += children;
        }
        first_child.push(next);
        debug_assert_eq!(next as usize, count);
        let mut trie = NgramTrie {
            tokens: nodes.tokens,
            probability: nodes.probability,
            backoff: nodes.backoff,
            first_child,
            suffix: vec![ROOT; count],
            state: vec![ROOT; count],
        };
        for parent in 0..count as Node {
            for child in trie.children(parent) {
                let suffix = if parent == ROOT { ROOT } else { trie.longest(trie.suffix(parent), trie.token(child)) };
                trie.suffix[child as usize] = suffix;
                trie.state[child as usize] =
                    if trie.children(child).is_empty() { trie.state[suffix as usize] } else { child };
            }
        }
        trie
    }

    /// Number of n-grams.
    pub(super) fn len(&self) -> usize {
        self.tokens.len() - 1
    }

    pub(super) fn token(&self, node: Node) -> u16 {
        self.tokens[node as usize]
    }

    pub(super) fn probability(&self, node: Node) -> f32 {
        self.probability[node as usize]
    }

    pub(super) fn backoff(&self, node: Node) -> f32 {
        self.backoff[node as usize]
    }

    pub(super) fn set_backoff(&mut self, node: Node, backoff: f32) {
        self.backoff[node as usize] = backoff;
    }

    pub(super) fn suffix(&self, node: Node) -> Node {
        self.suffix[node as usize]
    }

    pub(super) fn state(&self, node: Node) -> Node {
        self.state[node as usize]
    }

    pub(super) fn children(&self, node: Node) -> std::ops::Range<Node> {
        self.first_child[node as usize]..self.first_child[node as usize + 1]
    }

    /// The children whose tokens are in a range.
    pub(super) fn children_within(&self, node: Node, tokens: std::ops::Range<u16>) -> std::ops::Range<Node> {
        let children = self.children(node);
        let slice = &self.tokens[children.start as usize..children.end as usize];
        let start = slice.partition_point(|&token| token < tokens.start);
        let end = start + slice[start..].partition_point(|&token| token < tokens.end);
        children.start + start as Node..children.start + end as Node
    }

    fn child(&self, node: Node, token: u16) -> Option<Node> {
        if node == ROOT {
            return Some(1 + Node::from(token));
        }
        let children = self.children(node);
        let slice = &self.tokens[children.start as usize..children.end as usize];
        slice.binary_search(&token).ok().map(|at| children.start + at as Node)
    }

    /// The n-gram of the longest suffix of a history that `token` continues.
    fn longest(&self, mut history: Node, token: u16) -> Node {
        loop {
            match self.child(history, token) {
                Some(node) => return node,
                None => history = self.suffix(history),
            }
        }
    }

    /// The state at the beginning of a word.
    pub(super) fn begin(&self) -> Node {
        self.state(1 + Node::from(BEGIN))
    }

    /// ln p(`token` | `history`).
    pub(super) fn step(&self, mut history: Node, token: u16) -> f32 {
        let mut backoff = 0.0;
        loop {
            if let Some(node) = self.child(history, token) {
                return backoff + self.probability(node);
            }
            backoff += self.backoff(history);
            history = self.suffix(history);
        }
    }
}
