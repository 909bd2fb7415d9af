"""The cycles that a replay tells are the cycles that the real loop runs, for every gamma and every drafter."""

from hypothesis import given
from hypothesis import strategies as st

from runner.advise.costs import pending_tokens
from runner.advise.replay import Played, replay, replay_ngram, run_lengths
from runner.decode import Choice, generate
from runner.drafters import NgramDrafter
from runner.llama.draft import ModelDrafter
from tests.scripted_models import VOCABULARY, HashTarget, greedy, ticking_clock

prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6)
salts = st.integers()
gammas = st.integers(1, 12)
lengths = st.integers(1, 50)


class PrefixDrafter:
    """A greedy draft: its next token is a fixed function of the text before it, often the target's."""

    def __init__(self, target: HashTarget, one_wrong_in: int) -> None:
        self.target, self.one_wrong_in, self.text, self.proposal = target, one_wrong_in, [], []

    def next_token(self, text):
        truth = self.target.next_token(text)
        wrong = hash((self.one_wrong_in, tuple(text))) % self.one_wrong_in == 0
        return (truth + 1) % VOCABULARY if wrong else truth

    def begin(self, prompt):
        self.text = list(prompt)

    def propose(self, limit):
        self.proposal = []
        for _ in range(limit):
            self.proposal.append(self.next_token([*self.text, *self.proposal]))
        return self.proposal

    def settle(self, n_accepted, bonus):
        self.text += [*self.proposal[:n_accepted], bonus]


def real_cycles(salt, drafter, prompt, gamma, n_predict) -> Played:
    cycles = generate(
        HashTarget(salt), drafter, prompt, gamma=gamma, n_predict=n_predict, clock=ticking_clock()
    ).cycles
    return Played(tuple(cycles.drafted), tuple(cycles.accepted))


@given(salts, prompts, st.integers(1, 9), gammas, lengths)
def test_one_trace_replays_the_cycles_of_every_gamma(salt, prompt, one_wrong_in, gamma, n_predict):
    drafter = PrefixDrafter(HashTarget(salt), one_wrong_in)
    text = greedy(salt, prompt, n_predict)
    right = [drafter.next_token([*prompt, *text[:place]]) == token for place, token in enumerate(text)]
    assert replay(run_lengths(right), gamma) == real_cycles(salt, drafter, prompt, gamma, n_predict)


@given(salts, prompts, gammas, lengths)
def test_lookup_is_replayed_without_any_model(salt, prompt, gamma, n_predict):
    text = greedy(salt, prompt, n_predict)
    played, spent = replay_ngram(prompt, text, gamma, ticking_clock())
    assert played == real_cycles(salt, NgramDrafter(), prompt, gamma, n_predict)
    assert spent == len(played.drafted), "one tick for each proposal"


@given(st.lists(st.booleans(), min_size=1, max_size=60), gammas)
def test_a_replay_yields_exactly_the_text(right, gamma):
    played = replay(run_lengths(right), gamma)
    assert sum(played.accepted) + len(played.accepted) == len(right)
    assert all(0 <= a <= d <= gamma for a, d in zip(played.accepted, played.drafted, strict=True))


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 11))
def test_a_longer_draft_never_needs_more_cycles_for_the_same_text(right, gamma):
    lengths_from = run_lengths(right)
    assert len(replay(lengths_from, gamma + 1).drafted) <= len(replay(lengths_from, gamma).drafted)


class FakeContext:
    """Counts what the draft decodes; says 0 each time."""

    def __init__(self):
        self.batches = []

    def begin(self, tokens):
        self.batches = []

    def decode(self, tokens, *, n_outputs):
        self.batches.append(len(tokens))

    def choose(self, n_rows):
        return Choice([0] * n_rows, [1.0] * n_rows)


class FakeRollback:
    """Trims for nothing, or returns to the mark so that kept tokens must be decoded again."""

    def __init__(self, name):
        self.name = name

    def mark(self, context):
        pass

    def undo(self, context, since_mark, n_keep):
        trims = self.name == "trim" or n_keep == len(since_mark)
        return () if trims else since_mark[:n_keep]


@given(
    st.sampled_from(["trim", "checkpoint"]),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12),
)
def test_pending_tokens_are_those_that_a_model_drafter_decodes_first(strategy, cycles):
    played = Played(tuple(d for d, _ in cycles), tuple(min(a, d) for d, a in cycles))
    context = FakeContext()
    drafter = ModelDrafter(context, FakeRollback(strategy))
    drafter.begin([1, 2])
    firsts = []
    for drafted, accepted in zip(played.drafted, played.accepted, strict=True):
        before = len(context.batches)
        drafter.propose(drafted)
        firsts.append(context.batches[before] if drafted else None)
        drafter.settle(accepted, 0)
    expected = pending_tokens(played, strategy)
    assert [each if each is None else want for each, want in zip(firsts, expected, strict=True)] == firsts
