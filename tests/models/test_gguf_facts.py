"""The facts of a GGUF agree with what is published of the real models, and no damaged file gets through."""

import hashlib
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import gguf_digest, gguf_facts
from runner.errors import ModelError
from runner.gguf_facts import count_weights, inspect_gguf, read_card, vocabulary_sha256
from runner.gguf_reader import TensorSize, read_header
from runner.paths import CACHE_VARIABLE
from tests.fuzz.mutations import binary
from tests.models.real_shapes import SHAPES, token_list, write_hollow
from tests.models.tiny_gguf import TOKENS, write_parts, write_tiny

# Published: llama-bench prints 752393024 for 0.8B; the others are in data/models.toml with their source.
PUBLISHED = {
    "0.8b": (752_393_024, 752_393_024),
    "2b": (1_881_825_088, 1_881_825_088),
    "4b": (4_205_751_296, 4_205_751_296),
    "9b": (8_953_803_264, 7_936_684_544),
    "35b-a3b": (34_660_610_688, 2_946_429_568),
}


@pytest.mark.parametrize("model", SHAPES)
def test_parameters_of_the_real_models_are_the_published_ones(hollow, model):
    weights = read_card(hollow(model)).weights
    assert (weights.parameters, weights.active_parameters) == PUBLISHED[model]


def test_the_mixture_reads_eight_experts_of_256_and_not_its_whole_file(hollow):
    card = read_card(hollow("35b-a3b", "Q4_K_M"))
    assert (card.n_experts, card.n_experts_used) == (256, 8)
    assert card.size_bytes / card.weights.bytes_per_token > 11


def test_quantised_bytes_per_token_follow_the_tensors_not_the_file_name(hollow):
    card = read_card(hollow("4b"))
    assert card.quantisation == "Q8_0"
    assert card.weights.bytes_per_token == pytest.approx(card.weights.active_parameters * 34 / 32, rel=1e-3)


def test_hybrid_layers_and_memory_per_sequence_are_those_of_the_fact_sheet(hollow):
    card = read_card(hollow("35b-a3b", "Q4_K_M"))
    assert card.hybrid
    assert (card.n_layers, card.n_attention_layers) == (40, 10)
    assert card.kv_bytes_per_token == 20_480
    delta_net, convolution = 60 * 2**20, 30 * 3 * (4096 + 2 * 16 * 128) * 4
    assert card.recurrent_state_bytes == delta_net + convolution


def test_an_mtp_block_is_counted_apart_because_plain_decoding_does_not_run_it(hollow):
    plain, with_mtp = read_card(hollow("0.8b")), read_card(hollow("0.8b", mtp_blocks=1))
    assert with_mtp.weights[:3] == plain.weights[:3]
    assert (with_mtp.n_layers, with_mtp.n_mtp_layers) == (24, 1)
    assert with_mtp.weights.mtp_parameters > 20_000_000


def test_a_tied_embedding_counts_as_output_and_an_untied_one_not_at_all():
    embedding = TensorSize("token_embd.weight", 100, 200, "F16")
    tied = count_weights([embedding], n_layers=1, experts=0, experts_used=0)
    untied = count_weights(
        [embedding, TensorSize("output.weight", 50, 60, "Q8_0")], n_layers=1, experts=0, experts_used=0
    )
    assert tied[:3] == (100, 100, 200)
    assert untied[:3] == (150, 50, 60)


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 1000))
def test_active_weights_never_exceed_all_and_grow_with_the_experts_used(experts, used, per_expert):
    used = min(used, experts)
    tensors = [
        TensorSize("blk.0.ffn_up_exps.weight", experts * per_expert, experts * per_expert * 2, "F16"),
        TensorSize("blk.0.ffn_up_shexp.weight", per_expert, per_expert * 2, "F16"),
    ]
    weights = count_weights(tensors, n_layers=1, experts=experts, experts_used=used)
    assert weights.active_parameters == (used + 1) * per_expert
    assert weights.active_parameters <= weights.parameters


def test_inspection_takes_role_name_and_digest_of_the_file(tmp_path):
    path = write_tiny(tmp_path / "m.gguf")
    facts = inspect_gguf(path, "dense-4b")
    assert (facts.role, facts.file, facts.architecture, facts.hybrid) == ("dense-4b", "m.gguf", "llama", False)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.size_bytes == path.stat().st_size
    assert (facts.quantisation, facts.n_vocab) == ("F16", len(TOKENS))
    assert facts.vocab_sha256 == vocabulary_sha256(token.encode() for token in TOKENS)
    assert msgspec.json.decode(msgspec.json.encode(facts), type=type(facts)) == facts


@given(st.lists(st.binary(max_size=4), max_size=6), st.lists(st.binary(max_size=4), max_size=6))
def test_vocabularies_hash_alike_only_when_they_are_equal(left, right):
    assert (vocabulary_sha256(left) == vocabulary_sha256(right)) == (left == right)


def test_a_digest_is_read_once_and_again_only_when_the_file_changed(tmp_path, monkeypatch):
    path = write_tiny(tmp_path / "m.gguf")
    first = gguf_digest.file_sha256(path)
    monkeypatch.setattr(gguf_digest.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert gguf_digest.file_sha256(path) == first
    monkeypatch.undo()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    write_tiny(path, tokens=["x", "y"])
    assert gguf_digest.file_sha256(path) != first


def test_a_blob_of_the_hub_cache_carries_its_digest_as_its_name(tmp_path):
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"not read at all")
    link = tmp_path / "snapshots" / "m.gguf"
    link.parent.mkdir()
    link.symlink_to(blob)
    assert gguf_digest.file_sha256(link) == "ab" * 32


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    monkeypatch.setenv(CACHE_VARIABLE, str(blocker / "cache"))
    path = write_tiny(tmp_path / "m.gguf")
    assert gguf_digest.file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


class TestSplitModels:
    def test_parts_count_as_one_model(self, tmp_path):
        parts = write_parts(tmp_path, "big", 3)
        card = read_card(parts[0])
        assert card.shards == tuple(parts)
        assert card.size_bytes == sum(part.stat().st_size for part in parts)
        assert card.weights.parameters == 6 * 8 + 6 * 64

    def test_a_missing_part_is_named(self, tmp_path):
        parts = write_parts(tmp_path, "big", 3)
        parts[1].unlink()
        with pytest.raises(ModelError, match=r"big-00002-of-00003\.gguf: part 2 of 3 is missing"):
            read_card(parts[0])

    def test_a_later_part_names_the_first(self, tmp_path):
        parts = write_parts(tmp_path, "big", 2)
        with pytest.raises(ModelError, match=r"name big-00001-of-00002\.gguf instead"):
            read_card(parts[1])

    def test_parts_of_different_uploads_are_refused(self, tmp_path):
        parts = write_parts(tmp_path, "big", 2)
        write_tiny(parts[1], part=(1, 2, 5), blocks=3)
        with pytest.raises(ModelError, match="6 tensors instead of 5"):
            read_card(parts[0])

    def test_a_renamed_first_part_cannot_find_its_others(self, tmp_path):
        parts = write_parts(tmp_path, "big", 2)
        renamed = parts[0].rename(tmp_path / "model.gguf")
        with pytest.raises(ModelError, match="give the parts back their names"):
            read_card(renamed)

    def test_the_digest_covers_every_part(self, tmp_path):
        parts = write_parts(tmp_path, "big", 2)
        before = inspect_gguf(parts[0], "moe-q8").sha256
        parts[1].write_bytes(parts[1].read_bytes()[:-1] + b"\x07")
        assert inspect_gguf(parts[0], "moe-q8").sha256 != before


class TestDamage:
    def test_a_missing_file_names_itself_and_the_remedy(self, tmp_path):
        with pytest.raises(ModelError, match=r"gone\.gguf: no such file; .*models fetch"):
            inspect_gguf(tmp_path / "gone.gguf", "moe-q4")

    @pytest.mark.parametrize("content", [b"", b"GGUF", b"PK\x03\x04" * 99, b"\x00" * 4096, b"<html></html>"])
    def test_foreign_and_empty_files_are_refused(self, tmp_path, content):
        path = tmp_path / "foreign.gguf"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"foreign\.gguf: not a usable GGUF"):
            inspect_gguf(path, "moe-q4")

    def test_a_folder_or_a_name_that_is_none_is_refused(self, tmp_path):
        for path in (tmp_path, tmp_path / "a\0b"):
            with pytest.raises(ModelError):
                inspect_gguf(path, "moe-q4")

    def test_every_truncation_is_noticed(self, tmp_path):
        whole = write_tiny(tmp_path / "m.gguf").read_bytes()
        path = tmp_path / "short.gguf"
        for length in range(0, len(whole), 13):
            path.write_bytes(whole[:length])
            with pytest.raises(ModelError, match=r"short\.gguf"):
                read_card(path)

    def test_a_truncated_download_is_called_truncated(self, tmp_path):
        path = write_tiny(tmp_path / "m.gguf")
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(ModelError, match=r"it ends at byte .* download it again"):
            read_card(path)

    @pytest.mark.parametrize("seed", range(400))
    def test_mutated_files_are_read_or_refused_but_never_crash_or_hang(self, tmp_path, seed):
        path = write_tiny(tmp_path / "m.gguf")
        path.write_bytes(binary(path.read_bytes(), random.Random(seed)))
        outcome = _card_or_refusal(path)
        if isinstance(outcome, str):
            assert "\n" not in outcome
            assert "m.gguf" in outcome
        else:
            assert outcome.weights.active_parameters <= outcome.weights.parameters

    def test_an_absurd_array_is_refused_at_once(self, tmp_path):
        path = write_tiny(tmp_path / "m.gguf")
        whole = bytearray(path.read_bytes())
        scores = whole.index(b"tokenizer.ggml.scores") + len("tokenizer.ggml.scores") + 8
        whole[scores : scores + 8] = (2**60).to_bytes(8, "little")
        path.write_bytes(whole)
        with pytest.raises(ModelError, match="array of 1152921504606846976 elements"):
            read_card(path)

    def test_a_file_of_the_other_byte_order_is_refused(self, tmp_path):
        path = tmp_path / "big_endian.gguf"
        path.write_bytes(b"GGUF" + (3).to_bytes(4, "big") + (0).to_bytes(16, "big"))
        with pytest.raises(ModelError, match="other byte order"):
            read_card(path)

    @pytest.mark.parametrize(
        ("key", "value", "reason"),
        [
            ("expert_used_count", 300, "uses 300 of 256 experts"),
            ("block_count", 0, "leaves no layer"),
            ("nextn_predict_layers", 40, "leaves no layer"),
        ],
    )
    def test_metadata_that_contradicts_itself_is_refused(self, tmp_path, key, value, reason):
        path = write_hollow(tmp_path / "m.gguf", "35b-a3b", tokens=["a"], overrides={key: value})
        with pytest.raises(ModelError, match=reason):
            read_card(path)


def test_the_full_vocabulary_comes_back_token_by_token(hollow):
    assert gguf_facts.vocabulary(hollow("0.8b")) == [token.encode() for token in token_list()]


def test_arrays_of_numbers_come_back_as_numbers(tmp_path):
    header = read_header(write_tiny(tmp_path / "m.gguf"))
    assert header.values["tokenizer.ggml.scores"] == [0.0] * len(TOKENS)
    assert header.values["tokenizer.ggml.token_type"] == [1] * len(TOKENS)


def _card_or_refusal(path):
    try:
        return read_card(path)
    except ModelError as error:
        return str(error)
