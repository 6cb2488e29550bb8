package hw

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/subquad/subquad/internal/race"
)

// TestMain lets the test binary run itself under another SUBQUAD_HW.
func TestMain(m *testing.M) {
	if os.Getenv("SUBQUAD_TEST_CHILD") != "" {
		fmt.Println(Current(), Levels(), Err())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestLevelNames(t *testing.T) {
	for l := Portable; l <= AMX; l++ {
		got, err := ParseLevel(strings.ToUpper(l.String()))
		if err != nil || got != l {
			t.Errorf("ParseLevel(%s) = %v, %v", l, got, err)
		}
	}
	if s := Level(77).String(); s != "hw.Level(77)" {
		t.Error(s)
	}
	_, err := ParseLevel("sse9")
	if want := `hw: unknown level "sse9", want one of portable, neon, avx2, avx512, amx`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestHas(t *testing.T) {
	has := map[Level][]Level{
		Portable: {Portable}, NEON: {Portable, NEON}, AVX2: {Portable, AVX2},
		AVX512: {Portable, AVX2, AVX512}, AMX: {Portable, AVX2, AVX512, AMX},
	}
	for l, want := range has {
		for m := Portable; m <= AMX; m++ {
			if l.Has(m) != slices.Contains(want, m) {
				t.Errorf("%s.Has(%s) = %v", l, m, l.Has(m))
			}
		}
	}
}

func TestSet(t *testing.T) {
	was := Current()
	defer Set(was)
	var seen []Level
	OnLevel(func(l Level) { seen = append(seen, l) })
	defer func() { state.hooks = state.hooks[:len(state.hooks)-1] }()
	want := []Level{was}
	for _, l := range Levels() {
		if err := Set(l); err != nil || Current() != l {
			t.Errorf("Set(%s): %v, now %s", l, err, Current())
		}
		want = append(want, l)
	}
	if !slices.Equal(seen, want) {
		t.Errorf("hooks saw %v, want %v", seen, want)
	}
	now := Current()
	for l := Portable; l <= AMX+1; l++ {
		if slices.Contains(Levels(), l) {
			continue
		}
		want := fmt.Sprintf("hw: this machine cannot run level %s, it has %v", l, Levels())
		if err := Set(l); err == nil || err.Error() != want || Current() != now {
			t.Errorf("Set(%s): %v, now %s; want %s", l, err, Current(), want)
		}
	}
}

func TestLevels(t *testing.T) {
	levels := Levels()
	if levels[0] != Portable || !slices.IsSorted(levels) {
		t.Errorf("%v: want portable first, weakest to strongest", levels)
	}
	for _, l := range levels {
		if !levels[len(levels)-1].Has(l) {
			t.Errorf("the strongest of %v does not have %s", levels, l)
		}
	}
	switch last := levels[len(levels)-1]; {
	case last == AMX || last == NEON:
		if WhyNot() != "" {
			t.Errorf("%s is the last level, and yet %s", last, WhyNot())
		}
	case WhyNot() == "":
		t.Errorf("nothing says why %s is the strongest level", last)
	}
	levels[0] = AMX
	if Levels()[0] != Portable {
		t.Error("a caller can change the list")
	}
}

// TestEnvironment runs this binary again: the variable is read once, at start.
func TestEnvironment(t *testing.T) {
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Log("this system starts no processes")
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := []string{exe}
	if err := exec.Command(exe, "-test.run=^$").Run(); errors.Is(err, syscall.ENOEXEC) && runtime.GOARCH == "arm64" {
		command = []string{"qemu-aarch64", "-cpu", "max", exe} // this process is emulated
	}
	child := func(t *testing.T, value string) (out, errs string) {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, Env+"=") }),
			"SUBQUAD_TEST_CHILD=1", "GORACE=atexit_sleep_ms=0", Env+"="+value)
		var b strings.Builder
		cmd.Stderr = &b
		text, err := cmd.Output()
		if err != nil {
			t.Fatal(err, b.String())
		}
		return string(text), b.String()
	}
	all, _ := detect(AMX) // Levels would lack amx where this process is capped
	best := all[len(all)-1]
	t.Run("unset", func(t *testing.T) {
		if out, errs := child(t, ""); !strings.HasPrefix(out, best.String()+" [portable") || errs != "" {
			t.Errorf("%q, %q", out, errs)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		const what = `SUBQUAD_HW: hw: unknown level "fast", want one of portable, neon, avx2, avx512, amx`
		out, errs := child(t, "fast")
		if want := fmt.Sprintf("%s %v %s\n", best, all, what); out != want {
			t.Errorf("got %q, want %q", out, want)
		}
		if want := fmt.Sprintf("subquad: %s; using %s\n", what, best); errs != want {
			t.Errorf("got %q, want %q", errs, want)
		}
	})
	for l := Portable; l <= AMX; l++ {
		t.Run(l.String(), func(t *testing.T) {
			want := Portable
			for _, have := range all {
				if l.Has(have) {
					want = have
				}
			}
			out, errs := child(t, l.String())
			if !strings.HasPrefix(out, want.String()+" [") || !strings.HasSuffix(out, " <nil>\n") || errs != "" {
				t.Errorf("%q, %q: want %s", out, errs, want)
			}
		})
	}
}

func TestInfo(t *testing.T) {
	m := Info()
	if m.Threads < 1 || m.Cores > m.Threads || m.L1d < 0 || m.L2 < 0 || m.L3 < 0 {
		t.Errorf("%+v", m)
	}
	if !Supports() || Supports("no such extension") || (len(m.Features) > 0 && !Supports(m.Features...)) {
		t.Error("Supports disagrees with Features")
	}
	if Levels()[len(Levels())-1].Has(AVX512) && !Supports(FeatureAVX2, FeatureFMA, FeatureAVX512VL) {
		t.Errorf("avx512 without its features: %v", m.Features)
	}
	if len(m.Features) > 0 {
		m.Features[0] = ""
		if Features()[0] == "" {
			t.Error("a caller can change the list")
		}
	}
}

func TestLinuxCaches(t *testing.T) {
	dir := t.TempDir()
	for i, c := range [][3]string{{"1", "Data", "48K"}, {"1", "Instruction", "32K"}, {"2", "Unified", "1024K"}, {"3", "Unified", "16384K"}} {
		d := filepath.Join(dir, fmt.Sprintf("index%d", i))
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		for k, name := range []string{"level", "type", "size"} {
			if err := os.WriteFile(filepath.Join(d, name), []byte(c[k]+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var m Machine
	m.linuxCaches(dir)
	if m.L1d != 48<<10 || m.L2 != 1<<20 || m.L3 != 16<<20 {
		t.Errorf("%+v", m)
	}
	m = Machine{}
	if m.linuxCaches(filepath.Join(dir, "none")); m.L1d != 0 {
		t.Errorf("%+v", m)
	}
}

func TestParallel(t *testing.T) {
	for _, workers := range []int{-1, 0, 1, 2, 3, 8, 100} {
		for _, n := range []int{-1, 0, 1, 2, 7, 1000} {
			calls := make([]atomic.Int32, max(n, 0))
			var now, most atomic.Int32
			Parallel(workers, n, func(i int) {
				k := now.Add(1)
				for m := most.Load(); k > m && !most.CompareAndSwap(m, k); m = most.Load() {
				}
				calls[i].Add(1)
				runtime.Gosched()
				now.Add(-1)
			})
			for i := range calls {
				if calls[i].Load() != 1 {
					t.Fatalf("workers %d, n %d: index %d was called %d times", workers, n, i, calls[i].Load())
				}
			}
			limit := workers
			if workers <= 0 {
				limit = runtime.GOMAXPROCS(0)
			}
			if int(most.Load()) > limit {
				t.Errorf("workers %d, n %d: %d at a time", workers, n, most.Load())
			}
		}
	}
}

func TestParallelNested(t *testing.T) {
	var sum atomic.Int64
	Parallel(4, 20, func(i int) {
		Parallel(3, 20, func(j int) {
			Parallel(2, 3, func(k int) { sum.Add(int64(i*60 + j*3 + k)) })
		})
	})
	if want := int64(1200 * 1199 / 2); sum.Load() != want {
		t.Errorf("sum %d, want %d", sum.Load(), want)
	}
}

func TestParallelPanic(t *testing.T) {
	wrong := errors.New("wrong")
	for _, workers := range []int{1, 2, 5} {
		for at := range 6 {
			var running, after atomic.Int32
			got := func() (v any) {
				defer func() { v = recover() }()
				Parallel(workers, 6, func(i int) {
					running.Add(1)
					defer running.Add(-1)
					if i == at {
						panic(wrong)
					}
					if i > at {
						after.Add(1)
					}
				})
				return nil
			}()
			if got != wrong || running.Load() != 0 {
				t.Errorf("workers %d, panic at %d: recovered %v, %d still running", workers, at, got, running.Load())
			}
		}
		// The job is fit for use again.
		var n atomic.Int32
		Parallel(workers, 50, func(int) { n.Add(1) })
		if n.Load() != 50 {
			t.Errorf("after a panic: %d calls of 50", n.Load())
		}
	}
}

// TestParallelGoexit: a helper that leaves its goroutine must not look like success.
func TestParallelGoexit(t *testing.T) {
	var v any
	done := make(chan bool)
	go func() { // the caller's own share may be the one that leaves
		defer close(done)
		defer func() { v = recover() }()
		Parallel(2, 2, func(int) { runtime.Goexit() })
	}()
	<-done
	if v != nil && v != "hw: Parallel's function called runtime.Goexit" {
		t.Errorf("recovered %v", v)
	}
}

func TestParallelAllocates(t *testing.T) {
	var n atomic.Int64
	f := func(int) { n.Add(1) }
	Parallel(2, 2, f)
	if a := testing.AllocsPerRun(200, func() { Parallel(2, 8, f) }); a >= 1 && !race.Enabled {
		t.Errorf("%v allocations a call", a)
	}
}

func TestTasksAndRange(t *testing.T) {
	for _, c := range []struct {
		workers, n int
		ns         float64
		want       int
	}{
		{1, 1000, 1e6, 1}, {2, 0, 1e6, 1}, {2, 1, 1e6, 1}, {2, 1000, 1, 1}, {2, 100, 1000, 2},
		{2, 1000, 1e6, 8}, {4, 3, 1e6, 3}, {2, 1000, 1e300, 8}, {2, 1000, 0, 1}, {2, 1000, -1, 1},
	} {
		if got := Tasks(c.workers, c.n, c.ns); got != c.want {
			t.Errorf("Tasks(%d, %d, %g) = %d, want %d", c.workers, c.n, c.ns, got, c.want)
		}
	}
	for _, n := range []int{0, 1, 7, 64, 1<<31 - 1} {
		for _, tasks := range []int{1, 2, 3, 7, 200} {
			at := 0
			for i := range tasks {
				lo, hi := Range(i, tasks, n)
				if lo != at || hi < lo || hi-lo > n/tasks+1 {
					t.Fatalf("Range(%d, %d, %d) = %d, %d after %d", i, tasks, n, lo, hi, at)
				}
				at = hi
			}
			if at != n {
				t.Errorf("%d tasks of %d items end at %d", tasks, n, at)
			}
		}
	}
}

func BenchmarkParallel(b *testing.B) {
	f := func(int) {}
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parallel(workers, 8, f)
			}
		})
	}
}

// Large pages change no value, wherever the slice begins.
func TestLargePages(t *testing.T) {
	x := make([]uint16, 3<<20)
	for i := range x {
		x[i] = uint16(i)
	}
	for _, s := range [][]uint16{nil, x[:0], x[:10], x, x[12345:]} {
		LargePages(s)
	}
	for i, v := range x {
		if v != uint16(i) {
			t.Fatalf("element %d is %d", i, v)
		}
	}
}

func TestTeam(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8} {
		team := StartTeam(workers)
		w := team.Workers()
		sum := make([]int, 100)
		for round := range 2000 {
			n := round % 10
			Parallel(w, n, func(i int) { sum[i] += round })
			if round%500 == 499 {
				time.Sleep(time.Millisecond) // long enough to fall asleep
			}
		}
		for i := range 10 {
			want := 0
			for round := range 2000 {
				if i < round%10 {
					want += round
				}
			}
			if sum[i] != want {
				t.Errorf("%d workers: place %d has %d, want %d", workers, i, sum[i], want)
			}
		}
		// A call from inside a call, and from another goroutine, runs by itself.
		var count atomic.Int64
		Parallel(w, 20, func(int) {
			Parallel(w, 30, func(int) { count.Add(1) })
		})
		done := make(chan bool)
		go func() {
			Parallel(w, 50, func(int) { count.Add(1) })
			close(done)
		}()
		Parallel(w, 50, func(int) { count.Add(1) })
		<-done
		if count.Load() != 700 {
			t.Errorf("%d workers: %d calls, want 700", workers, count.Load())
		}
		team.Stop()
	}
	for i := range teams {
		if teams[i].Load() != nil {
			t.Errorf("team %d is still there", i)
		}
	}
}

func TestTeamPanic(t *testing.T) {
	team := StartTeam(2)
	defer team.Stop()
	wrong := errors.New("wrong")
	for round := range 100 {
		got := func() (v any) {
			defer func() { v = recover() }()
			Parallel(team.Workers(), 6, func(i int) {
				if i == round%6 {
					panic(wrong)
				}
			})
			return nil
		}()
		if got != wrong {
			t.Fatalf("recovered %v", got)
		}
		var n atomic.Int32
		Parallel(team.Workers(), 50, func(int) { n.Add(1) })
		if n.Load() != 50 {
			t.Fatalf("after a panic: %d calls of 50", n.Load())
		}
	}
}

// TestTeamGoexit: a member that leaves its goroutine must not look like success, nor be waited for.
func TestTeamGoexit(t *testing.T) {
	team := StartTeam(2)
	done := make(chan bool)
	var v any
	go func() {
		defer close(done)
		defer func() { v = recover() }()
		Parallel(team.Workers(), 2, func(int) { runtime.Goexit() })
	}()
	<-done
	if v != nil && v != "hw: Parallel's function called runtime.Goexit" {
		t.Errorf("recovered %v", v)
	}
	team.Stop()
}

func TestTeamTasks(t *testing.T) {
	team := StartTeam(2)
	defer team.Stop()
	if runtime.GOMAXPROCS(0) < 2 {
		return // a team of one is a number
	}
	for _, c := range []struct {
		n    int
		ns   float64
		want int
	}{{0, 1e6, 1}, {1, 1e6, 1}, {1000, 1, 1}, {1000, 8, 2}, {1000, 1e3, 8}, {3, 1e6, 2}, {1000, 1e300, 8}} {
		if got := Tasks(team.Workers(), c.n, c.ns); got != c.want {
			t.Errorf("Tasks(team, %d, %g) = %d, want %d", c.n, c.ns, got, c.want)
		}
	}
}

// BenchmarkTeam is 96 calls of 20 µs, as a token has, and what they would be in one goroutine.
func BenchmarkTeam(b *testing.B) {
	work := func(int) {
		for range 250 {
			pause()
		}
	}
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			team := StartTeam(workers)
			defer team.Stop()
			for b.Loop() {
				for range 96 {
					Parallel(team.Workers(), 8, work)
				}
			}
		})
	}
}
