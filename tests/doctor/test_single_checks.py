"""Each check says ok, warn or fail for the right reason, and never without a remedy."""

import os
from collections import namedtuple
from functools import partial
from types import SimpleNamespace

import msgspec
import pytest

from runner.doctor import hardware, state
from runner.doctor.engine import engine_lines
from runner.doctor.hardware import hardware_lines
from runner.doctor.memory import Capacity, memory_lines
from runner.doctor.state import Busy, load_line, other_load, state_lines
from runner.errors import WorkerError
from runner.executor import Pair
from runner.gguf_facts import read_card
from runner.llama.device_choice import MOST_ROWS
from runner.memory_need import CONTEXT_BYTES, PROCESS_BYTES, Need, added_bytes, need_of
from runner.record import MachineState, Settings
from tests.doctor.world import CPU_BUILD, HEALTHY, LINUX, MAC, METAL_BUILD, linux_source, mac_source
from tests.models.real_shapes import write_hollow

SETTINGS = Settings(
    n_ctx_tokens=1536, n_batch_tokens=512, n_ubatch_tokens=512, n_threads=4, n_gpu_layers=-1,
    flash_attention="auto", kv_type="f16", seed=1,
)  # fmt: skip


ON_DEVICE = msgspec.structs.replace(SETTINGS, choose_on="device")


def levels(lines):
    return {line.check: line.level for line in lines}


def changed(record, **fields):
    return msgspec.structs.replace(record, **fields)


def engine(facts, machine, source):
    return engine_lines(lambda: facts, machine, source)


class TestState:
    def test_a_healthy_machine_has_nothing_to_do(self):
        assert set(levels(state_lines(HEALTHY)).values()) == {"ok"}

    def test_what_cannot_be_read_is_no_fault_and_says_who_watches_instead(self):
        lines = state_lines(MachineState())
        assert set(levels(lines).values()) == {"ok"}
        assert all("reference cells" in line.finding for line in lines)

    @pytest.mark.parametrize(
        ("fields", "check", "level"),
        [
            ({"power_source": "battery"}, "power source", "warn"),
            ({"low_power_mode": True}, "power mode", "warn"),
            ({"thermal_level": "fair"}, "heat", "warn"),
            ({"thermal_level": "serious"}, "heat", "fail"),
            ({"thermal_level": "critical"}, "heat", "fail"),
            ({"memory_pressure": "warning"}, "memory pressure", "warn"),
            ({"memory_pressure": "critical"}, "memory pressure", "fail"),
        ],
    )
    def test_each_bad_state_is_told_alone_and_with_a_remedy(self, fields, check, level):
        lines = state_lines(changed(HEALTHY, **fields))
        assert {name: found for name, found in levels(lines).items() if found != "ok"} == {check: level}
        assert all(line.remedy for line in lines if line.level != "ok")


class TestOtherLoad:
    def test_a_quiet_machine_is_quiet(self):
        assert load_line([Busy("editor", 0.05)], 0.2).level == "ok"

    def test_busy_processes_are_named_loudest_first_and_counted_beyond_three(self):
        busy = [Busy("a", 2.0), Busy("b", 0.9), Busy("c", 0.5), Busy("d", 0.3), Busy("e", 0.1)]
        line = load_line(busy, 4.0)
        assert line.level == "warn"
        assert line.finding == "busy: a 200%, b 90%, c 50% and 1 more of a core (load 4.0)"

    def test_shares_are_processor_time_over_the_sample_and_our_own_do_not_count(self, monkeypatch):
        class Process:
            def __init__(self, pid, name, *cpu_s):
                self.pid, self.info, self._cpu_s = pid, {"name": name}, iter(cpu_s)

            def cpu_times(self):
                return SimpleNamespace(user=next(self._cpu_s), system=1.0)

        ours = Process(os.getpid(), "us")
        processes = [Process(-1, "editor", 5.0, 5.0), Process(-2, "render", 7.0, 7.25), ours]
        monkeypatch.setattr(state.psutil, "process_iter", lambda attributes: processes)
        assert other_load(0.01) == [Busy("render", 25.0), Busy("editor", 0.0)]

    def test_a_process_that_vanished_meanwhile_took_nothing(self, monkeypatch):
        class Gone:
            def cpu_times(self):
                raise state.psutil.NoSuchProcess(1)

        assert state._cpu_s(Gone()) == 0.0


class TestEngine:
    def test_a_processor_build_is_right_on_linux(self):
        lines = engine(CPU_BUILD, LINUX, linux_source())
        assert levels(lines) == {"llama.cpp": "ok", "backend": "ok", "processor": "ok"}

    def test_a_metal_build_is_right_on_a_mac(self):
        lines = engine(METAL_BUILD, MAC, mac_source())
        assert levels(lines) == {"llama.cpp": "ok", "backend": "ok"}
        assert lines[1].finding == "MTL0, BLAS, CPU: this build has Metal"

    @pytest.mark.parametrize("name", ["Metal", "MTL0", "mtl"])
    def test_metal_goes_by_several_names(self, name):
        assert levels(engine(changed(METAL_BUILD, backends=[name, "CPU"]), MAC, mac_source()))["backend"] == "ok"

    def test_a_mac_without_metal_makes_a_study_worthless(self):
        line = engine(CPU_BUILD, MAC, mac_source())[1]
        assert (line.level, line.check) == ("fail", "backend")
        assert "-DGGML_METAL=on" in line.remedy

    def test_a_translated_python_is_told_from_a_missing_metal(self):
        machine = changed(MAC, architecture="x86_64")
        line = engine(CPU_BUILD, machine, mac_source(sysctl__proc_translated="1\n"))[1]
        assert line.level == "fail"
        assert "Rosetta" in line.finding

    def test_an_intel_mac_needs_no_metal(self):
        machine = changed(MAC, architecture="x86_64", chip="Intel(R) Core(TM) i9")
        assert levels(engine(CPU_BUILD, machine, mac_source()))["backend"] == "ok"

    def test_unused_vector_instructions_are_named(self):
        lines = engine(changed(CPU_BUILD, system_info="CPU : SSE3 = 1 |"), LINUX, linux_source())
        assert lines[-1].level == "warn"
        assert "AVX2, FMA" in lines[-1].finding

    def test_a_llama_cpp_that_cannot_be_loaded_is_one_line(self):
        def ask():
            raise WorkerError("the measuring process died (exit status 1): No module named 'llama_cpp'")

        (line,) = engine_lines(ask, LINUX, linux_source())
        assert (line.level, line.remedy) == ("fail", "pip install -e '.[measure]'")
        assert "llama_cpp" in line.finding


class TestHardware:
    def test_a_known_chip_is_compared_with_its_nominal_bandwidth(self, tmp_path):
        line = hardware_lines(MAC, tmp_path)[1]
        assert line.level == "ok"
        assert line.finding == (
            "200 GB/s copied by the processor, 400 GB/s nominal (280 GB/s to 340 GB/s attainable)"
        )

    def test_an_unknown_chip_degrades_to_what_was_measured(self, tmp_path):
        line = hardware_lines(LINUX, tmp_path)[1]
        assert (line.level, "no nominal figure" in line.finding) == ("ok", True)

    def test_far_too_little_bandwidth_is_suspicious(self, tmp_path):
        assert hardware_lines(changed(MAC, measured_bandwidth_bytes_per_s=60e9), tmp_path)[1].level == "warn"
        assert hardware_lines(changed(MAC, measured_bandwidth_bytes_per_s=None), tmp_path)[1].level == "warn"

    def test_fast_cores_and_gpu_cores_are_told(self, tmp_path):
        told = hardware_lines(MAC, tmp_path)[0].finding
        assert "12 cores, 8 of them fast, 38 GPU cores, 68.7 GB memory" in told
        assert "fast" not in hardware_lines(LINUX, tmp_path)[0].finding

    def test_a_full_disk_makes_a_study_worthless(self, tmp_path, monkeypatch):
        usage = namedtuple("usage", "free")
        monkeypatch.setattr(hardware.shutil, "disk_usage", lambda folder: usage(10**6))
        assert levels(hardware_lines(LINUX, tmp_path / "not" / "yet"))["disk"] == "fail"

    def test_a_coarse_clock_is_told(self, tmp_path, monkeypatch):
        info = namedtuple("info", "resolution")
        monkeypatch.setattr(hardware.time, "get_clock_info", lambda name: info(0.015))
        assert levels(hardware_lines(LINUX, tmp_path))["clock"] == "warn"

    @pytest.mark.parametrize(
        ("machine", "command", "level"), [(MAC, None, "warn"), (MAC, ["caffeinate"], "ok"), (LINUX, None, "ok")]
    )
    def test_a_mac_that_may_fall_asleep_is_told(self, tmp_path, monkeypatch, machine, command, level):
        monkeypatch.setattr(hardware, "inhibitor", lambda: command)
        assert levels(hardware_lines(machine, tmp_path))["sleep"] == level


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    models = {"moe-q8": "35b-a3b", "draft-2b": "2b"}
    return {role: read_card(write_hollow(folder / f"{role}.gguf", model)) for role, model in models.items()}


class TestMemory:
    PAIR = Pair(target="moe-q8", draft="draft-2b", gammas=(0, 4, 8, 16))

    def test_a_pair_needs_weights_caches_states_and_compute_of_all_its_contexts(self, cards):
        need = need_of(self.PAIR, cards, SETTINGS)
        target, draft = cards["moe-q8"], cards["draft-2b"]
        assert need.weights_bytes == target.size_bytes + draft.size_bytes
        assert need.kv_bytes == 1536 * (4 * 20_480 + 12_288)
        states = 1 + (1 + 4) + (1 + 8) + (1 + 16)
        assert need.recurrent_bytes == states * target.recurrent_state_bytes + 2 * draft.recurrent_state_bytes
        assert need.compute_bytes > 5 * 512 * 248_320 * 4
        assert 40e9 < need.total_bytes < 50e9

    def test_a_baseline_alone_needs_one_context_and_no_draft(self, cards):
        need = need_of(Pair(target="moe-q8", draft="none", gammas=(0,)), cards, SETTINGS)
        assert need.weights_bytes == cards["moe-q8"].size_bytes
        assert need.recurrent_bytes == cards["moe-q8"].recurrent_state_bytes

    def test_choosing_on_the_device_needs_one_context_more_for_the_proofs(self, cards):
        on_host, on_device = (need_of(self.PAIR, cards, each) for each in (SETTINGS, ON_DEVICE))
        assert on_device.kv_bytes - on_host.kv_bytes == 1536 * 20_480
        assert on_device.recurrent_bytes - on_host.recurrent_bytes == cards["moe-q8"].recurrent_state_bytes

    def test_each_forced_rollback_has_a_context_with_the_states_that_it_keeps(self, cards):
        bare = Pair(target="moe-q8", draft="draft-2b", gammas=(0,))
        forced = msgspec.structs.replace(bare, forced=((8, "checkpoint"), (8, "snapshots"), (8, "trim")))
        without, need = (need_of(pair, cards, SETTINGS) for pair in (bare, forced))
        states = (need.recurrent_bytes - without.recurrent_bytes) / cards["moe-q8"].recurrent_state_bytes
        assert states == 2 + 9 + 1
        assert need.kv_bytes - without.kv_bytes == 3 * 1536 * 20_480

    def test_the_loop_that_checks_nothing_adds_a_context_on_each_side(self, cards):
        target, draft = cards["moe-q8"], cards["draft-2b"]
        checked, unchecked = (
            need_of(msgspec.structs.replace(self.PAIR, unchecked=each), cards, SETTINGS) for each in (False, True)
        )
        assert unchecked.kv_bytes - checked.kv_bytes == 1536 * (20_480 + 12_288)
        added = unchecked.recurrent_bytes - checked.recurrent_bytes
        assert added == target.recurrent_state_bytes + draft.recurrent_state_bytes

    def test_choosing_on_the_device_holds_the_logits_of_few_rows(self, cards):
        pair = Pair(target="moe-q8", draft="none", gammas=(0,))
        on_host, on_device = (need_of(pair, cards, each).compute_bytes for each in (SETTINGS, ON_DEVICE))
        fixed = PROCESS_BYTES + CONTEXT_BYTES
        assert on_host - fixed == 512 * 248_320 * 4
        assert on_device - fixed - CONTEXT_BYTES == 2 * MOST_ROWS * 248_320 * 4

    def test_speculation_adds_a_draft_with_a_copy_of_its_state_and_the_targets_snapshots(self, cards):
        target, draft = cards["moe-q8"], cards["draft-2b"]
        added = partial(added_bytes, target, settings=SETTINGS, gamma=4)
        snapshots = 4 * target.recurrent_state_bytes
        assert added(None, keeps_snapshots=True) == snapshots
        assert added(None, keeps_snapshots=False) == 0
        alone = added(draft, keeps_snapshots=False)
        assert added(draft, keeps_snapshots=True) == alone + snapshots
        assert alone > draft.size_bytes + 1536 * 12_288 + 2 * draft.recurrent_state_bytes

    @pytest.mark.parametrize(("kv_type", "scale"), [("f16", 1), ("f32", 2), ("q8_0", 34 / 64)])
    def test_the_type_of_the_cache_scales_its_size(self, cards, kv_type, scale):
        need = need_of(self.PAIR, cards, changed(SETTINGS, kv_type=kv_type))
        assert need.kv_bytes == pytest.approx(scale * need_of(self.PAIR, cards, SETTINGS).kv_bytes)

    def test_more_gammas_never_need_less(self, cards):
        pairs = [Pair(target="moe-q8", draft="draft-2b", gammas=(0, *range(1, n))) for n in range(1, 6)]
        totals = [need_of(pair, cards, SETTINGS).total_bytes for pair in pairs]
        assert totals == sorted(totals)

    @pytest.mark.parametrize(
        ("memory", "free", "limit", "unified", "level"),
        [
            (64, 60, None, False, "ok"),
            (40, 39, None, False, "fail"),
            (64, 20, None, False, "warn"),
            (48, 47, None, True, "warn"),
            (64, 60, 40, True, "fail"),
            (64, 60, 50, True, "ok"),
            (None, None, None, False, "ok"),
        ],
    )
    def test_need_is_held_against_memory_free_memory_and_what_the_gpu_may_wire(
        self, memory, free, limit, unified, level
    ):
        need = Need(weights_bytes=40 * 10**9, kv_bytes=10**9, recurrent_bytes=10**9, compute_bytes=10**9)
        capacity = Capacity(*(None if gb is None else gb * 10**9 for gb in (memory, free, limit)), unified)
        (line,) = memory_lines({"moe-q8 + draft-2b": need}, capacity)
        assert line.level == level
        assert "moe-q8 + draft-2b takes 43.0 GB" in line.finding
        assert (line.remedy is None) == (level == "ok")

    def test_the_largest_that_fits_and_each_that_does_not_get_a_line(self):
        needs = {name: Need(gb * 10**9, 0, 0, 0) for name, gb in (("small", 5), ("large", 20), ("huge", 90))}
        lines = memory_lines(needs, Capacity(64 * 10**9, 60 * 10**9, None, False))
        assert [(line.level, line.finding.split()[0]) for line in lines] == [("ok", "large"), ("fail", "huge")]
