package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/tensor"
)

// A ModelResult is a whole model in llama.cpp and here, in tokens a second,
// the best of the repetitions; 0 where nothing was measured.
type ModelResult struct {
	Model      string  `json:"model"`
	Threads    int     `json:"threads"`
	Prompt     int     `json:"prompt"`
	Gen        int     `json:"gen"`
	PromptRate float64 `json:"llama_prompt_tok_s"`
	GenRate    float64 `json:"llama_gen_tok_s"`
	OurPrompt  float64 `json:"our_prompt_tok_s"`
	OurGen     float64 `json:"our_gen_tok_s"`
	Note       string  `json:"note"` // why there is nothing of ours
}

// A llamaRun is one object of llama-bench's JSON (ggml-org/llama.cpp:
// tools/llama-bench/README.md): a prompt if NPrompt is not 0, tokens one by one
// if NGen is not.
type llamaRun struct {
	Model   string    `json:"model_type"`
	Threads int       `json:"n_threads"`
	NPrompt int       `json:"n_prompt"`
	NGen    int       `json:"n_gen"`
	Average float64   `json:"avg_ts"`     // tokens a second
	Samples []float64 `json:"samples_ts"` // of the repetitions
}

// parseLlama makes a ModelResult of llama-bench's output for one model and one number of threads.
func parseLlama(output []byte) (m ModelResult, err error) {
	var runs []llamaRun
	if err := json.Unmarshal(output, &runs); err != nil {
		return m, fmt.Errorf("llama-bench's JSON: %w", err)
	}
	for _, run := range runs {
		rate := run.Average
		for _, s := range run.Samples {
			rate = max(rate, s)
		}
		switch {
		case run.NPrompt > 0 && run.NGen == 0:
			m.Prompt, m.PromptRate = run.NPrompt, rate
		case run.NGen > 0 && run.NPrompt == 0:
			m.Gen, m.GenRate = run.NGen, rate
		default:
			continue // both in one, which is not asked for
		}
		m.Model, m.Threads = run.Model, run.Threads
	}
	if m.PromptRate <= 0 || m.GenRate <= 0 {
		return m, fmt.Errorf("llama-bench's JSON has %d runs: want one with n_prompt and one with n_gen, and their avg_ts", len(runs))
	}
	return m, nil
}

// measureLlama times a GGUF model with llama-bench and, if package lm reads it, here.
func measureLlama(r *Result, model string) {
	const prompt, gen = 512, 128
	if _, err := exec.LookPath("llama-bench"); err != nil {
		r.Absent = append(r.Absent, "llama.cpp (github.com/ggml-org/llama.cpp: cmake -B build && cmake --build build --target llama-bench, put it on the PATH and name a GGUF file with -llama)")
		return
	}
	if model == "" {
		r.Absent = append(r.Absent, "llama.cpp, which is here but has nothing to do: name a GGUF file with -llama")
		return
	}
	counts := []int{1}
	if r.Cores > 1 {
		counts = append(counts, r.Cores)
	}
	line := newLine()
	defer line.clear()
	for _, n := range counts {
		line.say(0, 0, "llama-bench, "+threads(n))
		out, err := exec.Command("llama-bench", "-m", model, "-p", strconv.Itoa(prompt), "-n", strconv.Itoa(gen), "-t", strconv.Itoa(n), "-o", "json").Output()
		var m ModelResult
		if err == nil {
			m, err = parseLlama(out)
		}
		if err != nil {
			r.Absent = append(r.Absent, fmt.Sprintf("llama.cpp, which is here but failed: %v", err))
			return
		}
		m.Model = filepath.Base(model) + ", " + m.Model
		if m.OurPrompt, m.OurGen, err = ourModel(model, n, prompt, gen); err != nil {
			m.Note = err.Error()
		}
		r.Models = append(r.Models, m)
	}
}

// ourModel is the same in this module: the best of three prompts, then tokens one by one.
func ourModel(path string, threads, prompt, gen int) (promptRate, genRate float64, err error) {
	m, err := lm.Load(path)
	if err != nil {
		return 0, 0, err
	}
	ids := make([]int, prompt)
	for i := range ids {
		ids[i] = (i*7919 + 13) % m.Vocab()
	}
	s := tensor.NewScope(tensor.Workers(threads))
	read := func(ids []int, st *tensor.State) (time.Duration, error) {
		start := time.Now()
		s.Reset()
		_, err := m.Last(s, [][]int{ids}, st)
		return time.Since(start), err
	}
	for range 3 {
		t, err := read(ids, m.NewState(1))
		if err != nil {
			return 0, 0, err
		}
		promptRate = max(promptRate, float64(prompt)/t.Seconds())
	}
	for range 3 {
		st, sum := m.NewState(1), time.Duration(0) // llama-bench begins with an empty context too
		for i := range gen {
			t, err := read(ids[i:i+1], st)
			if err != nil {
				return 0, 0, err
			}
			sum += t
		}
		genRate = max(genRate, float64(gen)/sum.Seconds())
	}
	return promptRate, genRate, nil
}
