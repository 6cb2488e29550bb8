//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A llama-bench that prints the recorded sample stands for the real one; the
// model on our side is a small one of package lm's own.
func TestMeasureLlama(t *testing.T) {
	dir := t.TempDir()
	sample, err := filepath.Abs("testdata/llama-bench.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	program := filepath.Join(dir, "llama-bench")
	script := func(text string) {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script("echo \"$@\" > " + filepath.Join(dir, "args") + "\ncat " + sample + "\n")
	r := &Result{Cores: 1}
	measureLlama(r, "../../lm/testdata/rwkv-7v0-834K")
	if len(r.Models) != 1 || len(r.Absent) > 0 {
		t.Fatalf("%+v, absent %v; want one model", r.Models, r.Absent)
	}
	m := r.Models[0]
	if m.Model != "rwkv-7v0-834K, qwen2 7B Q4_K - Medium" || m.PromptRate != 7237.21 || m.OurPrompt <= 0 || m.OurGen <= 0 || m.Note != "" {
		t.Errorf("%+v, want the sample's rates and some of ours", m)
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if want := "-m ../../lm/testdata/rwkv-7v0-834K -p 512 -n 128 -t 1 -o json\n"; err != nil || string(args) != want {
		t.Errorf("called with %q, %v; want %q", args, err, want)
	}

	r = &Result{Cores: 1}
	measureLlama(r, filepath.Join(dir, "none.gguf"))
	if len(r.Models) != 1 || r.Models[0].Note == "" || r.Models[0].OurGen != 0 {
		t.Errorf("without a file: %+v, want a note and no rates of ours", r.Models)
	}
	script("echo cannot load >&2\nexit 1\n")
	r = &Result{Cores: 1}
	measureLlama(r, "x.gguf")
	if len(r.Models) > 0 || len(r.Absent) != 1 || !strings.Contains(r.Absent[0], "failed") {
		t.Errorf("a failing llama-bench: %+v, %v; want it named", r.Models, r.Absent)
	}
	r = &Result{Cores: 1}
	measureLlama(r, "")
	if len(r.Absent) != 1 || !strings.Contains(r.Absent[0], "-llama") {
		t.Errorf("no model: %v; want the flag named", r.Absent)
	}
}
