package golden

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// missing lists the ops that no operator, layer or model of this module
// answers yet. It can only shrink: a case whose op is neither bound nor listed
// fails, and so does a listed op that is bound.
var missing = []string{
	"fla_hgrn2",
	"fla_rwkv6",
	"fla_rwkv7",
	"hf_bamba",
	"hf_falcon_h1",
	"hf_jamba",
	"hf_kimi_linear",
	"hf_minimax",
	"hf_olmo_hybrid",
	"hf_qwen3_next",
	"hf_recurrent_gemma",
	"hf_rwkv4_hf",
	"train_trajectory",
}

func folder() string {
	if dir := os.Getenv("SUBQUAD_GOLDENS"); dir != "" {
		return dir
	}
	return filepath.Join("testdata", "goldens")
}

func TestGoldens(t *testing.T) {
	var ok, failed, absent int
	everyCase(t, folder(), func(c *refCase, r *result) {
		switch {
		case r == nil:
			absent++
			fmt.Printf("%s missing\n", c.name)
		case len(r.bad) > 0:
			failed++
			fmt.Printf("%s FAIL %s\n", c.name, r)
			slices.Sort(r.bad)
			t.Errorf("%s: %s", c.name, strings.Join(slices.Compact(r.bad), "; "))
		default:
			ok++
			fmt.Printf("%s ok %s\n", c.name, r)
		}
	})
	fmt.Printf("golden: %d ok, %d failed, %d missing\n", ok, failed, absent)
}

// everyCase runs every case of a folder and reports it, a case that nothing
// answers with a nil result.
func everyCase(t *testing.T, dir string, report func(c *refCase, r *result)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no reference vectors in %s (%v)", dir, err)
	}
	models, err := filepath.Glob(filepath.Join(dir, "*", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".safetensors")
		c, err := openCase(name, path)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		bind := operators[c.Op]
		if bind == nil {
			bind = layers[c.Op]
		}
		known, listed := bind != nil || direct[c.Op] != nil, slices.Contains(missing, c.Op)
		if known == listed {
			t.Errorf("%s: op %q: bound %v, listed as missing %v: want one of them", name, c.Op, known, listed)
		}
		switch {
		case bind != nil:
			r := safely(func() result { return bind(c).run() })
			report(c, &r)
		case direct[c.Op] != nil:
			r := safely(func() result { return direct[c.Op](c) })
			report(c, &r)
		default:
			report(c, nil)
		}
		c.file.Close()
	}
	slices.SortFunc(models, cmp.Compare)
	for _, path := range models {
		folder := filepath.Dir(path)
		name := filepath.Base(folder)
		if _, err := os.Stat(filepath.Join(folder, "golden.safetensors")); err != nil {
			report(&refCase{name: name}, nil) // a training trajectory
			continue
		}
		c, err := openCase(name, filepath.Join(folder, "golden.safetensors"))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		// Models from two libraries share an op: these go by their folder.
		op := c.Op
		if op == "hf_model" || op == "fla_model" {
			op = name
		}
		run := wholeModels[op]
		if (run != nil) == slices.Contains(missing, op) {
			t.Errorf("%s: op %q: bound %v, and listed as missing alike", name, op, run != nil)
		}
		if run == nil {
			report(c, nil)
		} else {
			r := safely(func() result { return run(c, folder) })
			report(c, &r)
		}
		c.file.Close()
	}
}

// safely turns a panic into a failed case, so that the others still run.
func safely(run func() result) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r.bad = append(r.bad, fmt.Sprintf("panic: %v", p))
		}
	}()
	return run()
}

func (r *result) String() string {
	var parts []string
	if r.whole >= 0 {
		parts = append(parts, fmt.Sprintf("whole=%.1e", r.whole))
	}
	if r.hasSplit {
		parts = append(parts, fmt.Sprintf("split=%.1e steps=%.1e", r.split, r.steps))
	}
	if r.hasGrad {
		parts = append(parts, fmt.Sprintf("grad=%.1e", r.grad))
	}
	return strings.Join(parts, " ")
}
