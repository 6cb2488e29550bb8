package main

import (
	"bytes"
	"fmt"
	"strings"
)

// markdown is the report as text: the README's table of crossovers first.
func markdown(r, old *Result) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Measured %s\n\n%s, %s instructions, layers of %d channels.\n\n", r.Date, r.CPU, r.Level, r.Width)
	b.WriteString(crossoverText(r))
	for _, t := range []struct {
		name  string
		x     []int
		value func(l LayerResult) []float64
		slope bool
	}{
		{"forward, one thread", r.Lengths, func(l LayerResult) []float64 { return l.Forward }, true},
		{"forward, " + threads(r.Cores), r.Lengths, func(l LayerResult) []float64 { return l.ForwardAll }, true},
		{"forward and backward, one thread", r.Lengths, func(l LayerResult) []float64 { return l.Train }, true},
		{"one more token, one thread, by tokens before", r.Depths, func(l LayerResult) []float64 { return l.Decode }, false},
	} {
		head := []string{"layer"}
		for _, n := range t.x {
			head = append(head, short(float64(n)))
		}
		if t.slope {
			head = append(head, "slope")
		}
		var rows [][]string
		some := false
		for _, l := range r.Layers {
			row := []string{title(l.Name)}
			for _, v := range t.value(l) {
				row = append(row, us(v))
				some = some || v > 0
			}
			if t.slope {
				row = append(row, exponent(t.x, t.value(l)))
			}
			rows = append(rows, row)
		}
		if some {
			fmt.Fprintf(&b, "\nµs a token, %s:\n\n", t.name)
			mdTable(&b, head, rows)
		}
	}
	if len(r.Kernels) > 0 {
		t := kernelTable(r)
		fmt.Fprint(&b, "\nKernels on one core:\n\n")
		mdTable(&b, t.Head, t.Rows)
	}
	if len(r.Peers) > 0 {
		var rows [][]string
		for _, p := range r.Peers {
			rows = append(rows, []string{p.Work, p.Peer, fmt.Sprint(p.Threads), us(p.Theirs / 1e3), us(p.Ours / 1e3), ratio(p.Ratio())})
		}
		fmt.Fprint(&b, "\nThe same work elsewhere:\n\n")
		mdTable(&b, []string{"work", "library", "threads", "theirs, ms", "ours, ms", "ours / theirs"}, rows)
	}
	if len(r.Models) > 0 {
		var rows [][]string
		for _, m := range r.Models {
			rows = append(rows, []string{m.Model, fmt.Sprint(m.Threads), us(m.PromptRate), us(m.OurPrompt), us(m.GenRate), us(m.OurGen)})
		}
		fmt.Fprint(&b, "\nTokens a second, llama.cpp and here:\n\n")
		mdTable(&b, []string{"model", "threads", "prompt, llama.cpp", "prompt, ours", "one by one, llama.cpp", "one by one, ours"}, rows)
	}
	for _, a := range r.Absent {
		fmt.Fprintf(&b, "\nNot on this machine: %s.\n", a)
	}
	if old != nil {
		layers, kernels := changes(r, old)
		var rows [][]string
		for _, c := range append(layers, kernels...) {
			row := []string{c.label, ratio(c.ratios[0]), ""}
			if len(c.ratios) > 1 {
				row[2] = ratio(c.ratios[1])
			}
			rows = append(rows, row)
		}
		fmt.Fprintf(&b, "\nTime now over time on %s:\n\n", old.Date)
		mdTable(&b, []string{"", "forward", "single tokens"}, rows)
	}
	return b.Bytes()
}

// crossoverText is the README's paragraph and table: two layers a line.
func crossoverText(r *Result) string {
	rows, q := crossings(r), r.softmax()
	if q == nil || len(rows) == 0 {
		return ""
	}
	end := len(r.Lengths) - 1
	var b bytes.Buffer
	fmt.Fprintf(&b, "The length from which a layer of %d channels is cheaper, forward, than softmax attention of the same width, on %s", r.Width, threads(1))
	if r.Cores > 1 {
		fmt.Fprintf(&b, " and on %s", threads(r.Cores))
	}
	lo, _, hi := r.others(func(l *LayerResult) float64 { return float64(l.Memory[end]) })
	fmt.Fprintf(&b, ", and its state after %s tokens. Softmax attention's keys and values take %s there. The activations of a forward pass of that length, input and output among them, take %s for softmax attention and from %s to %s for the others.\n\n",
		short(float64(r.Lengths[end])), size(q.State[end]), size(q.Memory[end]), size(int(lo)), size(int(hi)))
	head := []string{"layer", threads(1), threads(r.Cores), "state"}
	half := (len(rows) + 1) / 2
	var lines [][]string
	for i := range half {
		var line []string
		for _, j := range []int{i, i + half} {
			cells := make([]string, 4)
			if j < len(rows) {
				row := rows[j]
				cells = []string{title(row.layer.Name), row.one.String(), row.all.String(), size(row.layer.State[end])}
			}
			line = append(line, cells...)
		}
		lines = append(lines, line)
	}
	mdTable(&b, append(head, head...), lines)
	return b.String()
}

// mdTable writes a Markdown table.
func mdTable(b *bytes.Buffer, head []string, rows [][]string) {
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
}
