package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"
)

//go:embed page.html
var pageSource string

// A section of the page: plots with what one sees in them, and tables.
type section struct {
	Title  string
	Note   string
	Beside bool // the first table stands beside the only plot
	Panels []panel
	Tables []table
}

type panel struct {
	Title string
	SVG   template.HTML
}

// A table's first column holds names, the others figures.
type table struct {
	Title string // if not "", the table is folded under it
	Head  []string
	Rows  [][]string
}

// A builder keeps the first error, so that sections read as what they show.
type builder struct {
	r, old *Result
	list   []section
	err    error
}

func (b *builder) add(s section) {
	if len(s.Panels)+len(s.Tables) > 0 {
		b.list = append(b.list, s)
	}
}

func (b *builder) panel(s *section, title string, draw func() (template.HTML, error)) {
	if b.err != nil {
		return
	}
	svg, err := draw()
	b.err = err
	s.Panels = append(s.Panels, panel{title, svg})
}

func sections(r, old *Result) ([]section, error) {
	b := &builder{r: r, old: old}
	b.crossovers()
	b.forward()
	b.memory()
	b.decode()
	b.training()
	b.against()
	b.roofline()
	b.sweeps()
	b.peers()
	b.everything()
	return b.list, b.err
}

var (
	lengthTicks = powers{2, short, 5}
	byteTicks   = powers{16, short, 0}
	timeTicks   = powers{10, plain, 0}
)

func floats(n []int) []float64 {
	out := make([]float64, len(n))
	for i, v := range n {
		out[i] = float64(v)
	}
	return out
}

// threads is "one thread" and so on.
func threads(n int) string {
	if n == 1 {
		return "one thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// ranked are the crossings, the earliest first.
func ranked(r *Result) []crossRow {
	rows := crossings(r)
	slices.SortStableFunc(rows, func(a, b crossRow) int {
		if a.one.kind != b.one.kind {
			return int(a.one.kind) - int(b.one.kind)
		}
		return int(a.one.length - b.one.length)
	})
	return rows
}

func (b *builder) crossovers() {
	r, rows := b.r, ranked(b.r)
	if len(rows) == 0 {
		return
	}
	longest := r.Lengths[len(r.Lengths)-1]
	s := section{Title: "Where a layer overtakes softmax attention", Beside: true}
	c := dotChart{title: "Lengths from which each layer is cheaper than softmax attention", xLabel: "tokens from which it stays cheaper", ticks: lengthTicks,
		lo: float64(r.Lengths[0]), hi: float64(longest), right: 74, series: []string{threads(1)}}
	if r.Cores > 1 {
		c.series = append(c.series, threads(r.Cores))
	}
	t := table{Head: []string{"layer", "from, one thread", "from, " + threads(r.Cores), "µs a token at " + short(float64(longest)), "slope", "state"}}
	count := map[crossKind]int{}
	for _, row := range rows {
		count[row.one.kind]++
		d := dotRow{label: title(row.layer.Name), right: row.one.String()}
		for _, x := range []crossover{row.one, row.all} {
			v := 0.0
			if x.kind == below || x.kind == within {
				v = x.length
			}
			d.values = append(d.values, v)
		}
		c.rows = append(c.rows, d)
		t.Rows = append(t.Rows, []string{title(row.layer.Name), row.one.String(), row.all.String(), us(row.layer.Forward[len(r.Lengths)-1]), exponent(r.Lengths, row.layer.Forward), size(row.layer.State[len(r.Lengths)-1])})
	}
	if q := r.softmax(); q != nil {
		t.Rows = append(t.Rows, []string{title(q.Name), "", "", us(q.Forward[len(r.Lengths)-1]), exponent(r.Lengths, q.Forward), size(q.State[len(r.Lengths)-1])})
	}
	s.Note = fmt.Sprintf("A dot marks the length from which a layer's forward pass takes less time than softmax attention of the same %d channels: %s of %d are cheaper already at %d tokens, %s from some longer sequence on",
		r.Width, number(count[below]), len(rows), r.Lengths[0], number(count[within]))
	if count[never] > 0 {
		s.Note += fmt.Sprintf(", and %s not up to %s", number(count[never]), short(float64(longest)))
	}
	s.Note += ". The slope is that of the time for a token over the length, both logarithmic: 0 is flat, 1 means that a token costs twice as much in twice the length."
	b.panel(&s, "", c.draw)
	s.Tables = append(s.Tables, t)
	b.add(s)
}

// number is a small number in words, as sentences want it.
func number(n int) string {
	if words := []string{"none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}; n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}

// us is a time in microseconds, with three digits at most that count.
func us(v float64) string {
	switch {
	case v <= 0:
		return ""
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// span is a time as sentences have it.
func span(v float64) string {
	if v >= 1000 {
		return us(v/1000) + " ms"
	}
	return us(v) + " µs"
}

// exponent is a slope as it is printed.
func exponent(x []int, y []float64) string {
	if s := slope(x, y); !math.IsNaN(s) {
		return fmt.Sprintf("%.2f", math.Round(s*100)/100+0) // +0: no −0
	}
	return ""
}

// panels draws, for each family of layers, its lines in colour, softmax
// attention's as the one to beat, and all others faintly.
func (b *builder) panels(s *section, x []int, xLabel string, value func(l *LayerResult) []float64, slopes bool) {
	r := b.r
	xs := floats(x)
	c := chart{xLabel: xLabel, yLabel: "µs a token", xTicks: lengthTicks, yTicks: timeTicks, width: 360, height: 280, side: 122}
	for i := range r.Layers {
		for j, v := range value(&r.Layers[i]) {
			if v > 0 {
				c.widen(xs[j], v)
			}
		}
	}
	if c.xMax <= c.xMin {
		return
	}
	for _, f := range families {
		c.title, c.curves = s.Title+": "+f, nil
		var own []curve
		for i := range r.Layers {
			l := &r.Layers[i]
			y := value(l)
			line := curve{x: xs, y: y, ink: inkFaint, label: title(l.Name)}
			if slopes {
				line.label += "  " + exponent(x, y)
			}
			switch {
			case l.Quadratic:
				line.ink, line.wide, line.label = inkText, true, strings.Replace(line.label, " attention", "", 1)
				own = append(own, line)
			case family(l.Name) == f:
				line.ink = series(len(own))
				own = append(own, line)
			default:
				line.label = ""
				c.curves = append(c.curves, line)
			}
		}
		if len(own) < 2 && (r.softmax() != nil || len(own) == 0) {
			continue // softmax attention alone
		}
		c.curves = append(c.curves, own...)
		b.panel(s, f, c.draw)
	}
}

// widen makes room for a point, with some of it on top and at the bottom.
func (c *chart) widen(x, y float64) {
	if c.xMax == 0 {
		c.xMin, c.xMax, c.yMin, c.yMax = x, x, y/1.15, y*1.15
	}
	c.xMin, c.xMax = min(c.xMin, x), max(c.xMax, x)
	c.yMin, c.yMax = min(c.yMin, y/1.15), max(c.yMax, y*1.15)
}

// others is what the layers but softmax attention have at one place: least, median, most.
func (r *Result) others(value func(l *LayerResult) float64) (lo, mid, hi float64) {
	var v []float64
	for i := range r.Layers {
		if x := value(&r.Layers[i]); x > 0 && !r.Layers[i].Quadratic {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return 0, 0, 0
	}
	sort.Float64s(v)
	return v[0], stat.Quantile(0.5, stat.Empirical, v, nil), v[len(v)-1]
}

func (b *builder) forward() {
	r := b.r
	s := section{Title: "Time for a token, forward"}
	s.Note = "Whole sequences on one thread, both axes logarithmic. Each panel shows one family in colour, with the slope of its last octaves; grey lines are all other layers."
	if q := r.softmax(); q != nil {
		if i := last(q.Forward); i > 0 {
			_, mid, _ := r.others(func(l *LayerResult) float64 { return l.Forward[i] })
			s.Note += fmt.Sprintf(" Softmax attention's line, thick, rises with the length, to %s at %s tokens; the others stay level, their median at %s.", span(q.Forward[i]), short(float64(r.Lengths[i])), span(mid))
		}
	}
	b.panels(&s, r.Lengths, "tokens", func(l *LayerResult) []float64 { return l.Forward }, true)
	b.add(s)
}

// highlights are the layers that stand for the rest where one plot shows all.
var highlights = []string{"s4d", "s5", "mamba", "mamba2", "rwkv7", "gla", "gateddeltanet", "based", "hyena"}

func (b *builder) memory() {
	r := b.r
	s := section{Title: "Memory over length"}
	xs := floats(r.Lengths)
	add := func(name string, value func(l *LayerResult) []int) {
		c := chart{title: name + " over length", xLabel: "tokens", yLabel: "bytes", xTicks: lengthTicks, yTicks: byteTicks, width: 360, height: 300, side: 112}
		var own []curve
		for i := range r.Layers {
			l := &r.Layers[i]
			y := floats(value(l))
			for j, v := range y {
				if v > 0 {
					c.widen(xs[j], v)
				}
			}
			line := curve{x: xs, y: y, ink: inkFaint}
			k := slices.Index(highlights, l.Name)
			switch {
			case l.Quadratic:
				line.ink, line.wide, line.label = inkText, true, "softmax"
				own = append(own, line)
			case k >= 0:
				line.ink, line.label = series(k), title(l.Name)
				own = append(own, line)
			default:
				c.curves = append(c.curves, line)
			}
		}
		if c.xMax > c.xMin {
			c.curves = append(c.curves, own...)
			b.panel(&s, name, c.draw)
		}
	}
	add("State", func(l *LayerResult) []int { return l.State })
	add("Activations of a forward pass", func(l *LayerResult) []int { return l.Memory })
	add("Activations with gradients", func(l *LayerResult) []int { return l.TrainMemory })
	s.Note = "What a layer carries from token to token, and the most that its intermediate results take, input and output among them. States are flat lines, but for softmax attention's keys and values"
	if q := r.softmax(); q != nil {
		if i := last(q.State); i >= 0 {
			lo, mid, hi := r.others(func(l *LayerResult) float64 { return float64(l.State[i]) })
			s.Note += fmt.Sprintf(": %s after %s tokens, where the others have from %s to %s, half of them %s or less", size(q.State[i]), short(float64(r.Lengths[i])), size(int(lo)), size(int(hi)), size(int(mid)))
		}
	}
	s.Note += ". A forward pass goes through long sequences in pieces, so beyond one piece only input and output grow; for gradients everything is kept."
	b.add(s)
}

func (b *builder) decode() {
	r := b.r
	s := section{Title: "One more token, at depth"}
	s.Note = "A single token on one thread, after so many others: what generation costs."
	if q := r.softmax(); q != nil {
		if i := last(q.Decode); i > 0 {
			_, mid, _ := r.others(func(l *LayerResult) float64 { return l.Decode[i] })
			s.Note += fmt.Sprintf(" After %s tokens softmax attention takes %s, the median layer %s.", short(float64(r.Depths[i])), span(q.Decode[i]), span(mid))
		}
	}
	b.panels(&s, r.Depths, "tokens before", func(l *LayerResult) []float64 { return l.Decode }, false)
	b.add(s)
}

func (b *builder) training() {
	s := section{Title: "Time for a token, forward and backward"}
	s.Note = "Whole sequences with the gradients of the input and of every weight, one thread; slopes as above."
	b.panels(&s, b.r.Lengths, "tokens", func(l *LayerResult) []float64 { return l.Train }, true)
	b.add(s)
}

// A change is a figure now over the same figure then.
type change struct {
	label  string
	ratios []float64
}

// changes pairs the times of two results: forward and decode of layers, and kernels at the level in use.
func changes(r, old *Result) (layers, kernels []change) {
	mean := func(x, y []int, now, then []float64) float64 {
		sum, n := 0.0, 0.0
		for i, a := range x {
			if j := slices.Index(y, a); j >= 0 && now[i] > 0 && then[j] > 0 {
				sum, n = sum+math.Log(now[i]/then[j]), n+1
			}
		}
		if n == 0 {
			return 0
		}
		return math.Exp(sum / n)
	}
	for _, l := range r.Layers {
		for _, o := range old.Layers {
			if o.Name == l.Name {
				c := change{title(l.Name), []float64{mean(r.Lengths, old.Lengths, l.Forward, o.Forward), mean(r.Depths, old.Depths, l.Decode, o.Decode)}}
				layers = append(layers, c)
			}
		}
	}
	for _, k := range r.Kernels {
		for _, o := range old.Kernels {
			if o.Name == k.Name && o.Level == k.Level && k.Level == r.Level && k.GFLOPS > 0 && o.GFLOPS > 0 {
				kernels = append(kernels, change{k.Name, []float64{o.GFLOPS / k.GFLOPS}})
			}
		}
	}
	return layers, kernels
}

func (b *builder) against() {
	if b.old == nil {
		return
	}
	s := section{Title: "Against the earlier run"}
	layers, kernels := changes(b.r, b.old)
	faster := 0
	lo, hi := 0.5, 2.0
	for _, c := range slices.Concat(layers, kernels) {
		for _, v := range c.ratios {
			if v > 0 {
				lo, hi = min(lo, v/1.1), max(hi, v*1.1)
			}
		}
	}
	draw := func(name string, list []change, series ...string) {
		if len(list) == 0 {
			return
		}
		c := dotChart{title: name + ", now over then", xLabel: "time now / time then", ticks: powers{2, plain, 0}, lo: lo, hi: hi, mark: 1, right: 40, series: series}
		for _, l := range list {
			c.rows = append(c.rows, dotRow{l.label, l.ratios, ratio(l.ratios[0])})
		}
		b.panel(&s, name, c.draw)
	}
	for _, c := range layers {
		if c.ratios[0] > 0 && c.ratios[0] < 1/1.05 {
			faster++
		}
	}
	s.Note = fmt.Sprintf("Time now over time on %s (%s, %s), geometric means over the lengths that both runs have: left of the line is faster. %s of %d layers are faster forward by more than 5 %%.",
		b.old.Date, b.old.CPU, b.old.Level, number(faster), len(layers))
	if b.old.CPU != b.r.CPU || b.old.Width != b.r.Width {
		s.Note += fmt.Sprintf(" The earlier run was on another machine or at another width (%d).", b.old.Width)
	}
	draw("Layers", layers, "forward", "single tokens")
	draw("Kernels", kernels)
	b.add(s)
}

// ratio is a quotient as it is printed; "" for none.
func ratio(v float64) string {
	switch {
	case v <= 0:
		return ""
	case v < 0.1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// roof is the most that a kernel can do according to the limits.
func (r *Result) roof(k KernelResult) float64 {
	lim := r.Limits[k.Level]
	peak := lim.GFLOPS
	if strings.HasPrefix(k.Name, "product") {
		peak = max(peak, lim.Tiles)
	}
	return math.Min(peak, r.reading()/k.Bytes)
}

// reading is the bandwidth of memory in GB/s, whatever the instructions.
func (r *Result) reading() float64 {
	best := 0.0
	for _, l := range r.Limits {
		best = max(best, l.GBs)
	}
	return best
}

// levelNames in the order of strength, those that compute with vectors.
var levelNames = []string{"neon", "avx2", "avx512", "amx"}

func (b *builder) roofline() {
	r := b.r
	if len(r.Kernels) == 0 {
		return
	}
	s := section{Title: "Kernels under the roof", Beside: true}
	c := chart{title: "Roofline: operations a second over operations a byte", xLabel: "operations a byte", yLabel: "GFLOP/s, one core", xTicks: powers{4, plain, 5}, yTicks: timeTicks, width: 360, height: 340, side: 62}
	t := table{Head: []string{"kernel, " + r.Level, "GFLOP/s", "of the roof"}}
	lo, hi := 0.05, 2048.0
	n := 0
	for _, k := range r.Kernels {
		if k.Level != r.Level || k.GFLOPS <= 0 {
			continue
		}
		n++
		c.dots = append(c.dots, dot{fmt.Sprint(n), 1 / k.Bytes, k.GFLOPS, series(n - 1)})
		lo, hi = min(lo, 0.5/k.Bytes), max(hi, 2/k.Bytes)
		t.Rows = append(t.Rows, []string{fmt.Sprintf("%d  %s", n, k.Name), us(k.GFLOPS), ratio(k.GFLOPS / r.roof(k))})
	}
	read := r.reading()
	if len(c.dots) == 0 || read <= 0 {
		return
	}
	line := func(name string, peak float64, dashed bool) {
		l := curve{label: name, ink: inkSoft, dashed: dashed}
		for _, x := range []float64{lo, peak / read, hi} {
			l.x, l.y = append(l.x, x), append(l.y, math.Min(peak, x*read))
		}
		c.curves = append(c.curves, l)
		c.yMax = max(c.yMax, peak*1.6)
	}
	for _, level := range levelNames {
		if lim, ok := r.Limits[level]; ok && level != "amx" && lim.GFLOPS > 0 {
			line(level, lim.GFLOPS, false)
		}
	}
	if tiles := r.Limits["amx"].Tiles; tiles > 0 {
		line("amx", tiles, true)
	}
	c.xMin, c.xMax = lo, hi
	c.yMin = c.yMax
	for _, d := range c.dots {
		c.yMin, c.yMax = min(c.yMin, d.y/1.6), max(c.yMax, d.y*1.6)
	}
	s.Note = "Each dot is a kernel: how much it computes in a second over how much it computes for a byte that must move, on one core. " +
		"The roofs were measured in the same run: a slope of reading memory, and level parts of multiplying and adding in vectors. Dots above the slope had their data in a cache; the further below the roof, the more room is left."
	if r.Limits["amx"].Tiles > 0 {
		s.Note += " The dashed roof is that of bfloat16 tiles, of which a float32 product takes six and one with bfloat16 weights three."
	}
	b.panel(&s, "", c.draw)
	s.Tables = append(s.Tables, t, kernelTable(r))
	b.add(s)
}

// kernelTable has every kernel at every level.
func kernelTable(r *Result) table {
	t := table{Title: "Every kernel at every level", Head: []string{"kernel"}}
	var levels []string
	for _, l := range levelNames {
		if slices.ContainsFunc(r.Kernels, func(k KernelResult) bool { return k.Level == l }) {
			levels = append(levels, l)
			t.Head = append(t.Head, l+", GFLOP/s", "of the roof")
		}
	}
	row := map[string]int{}
	for _, k := range r.Kernels {
		i, ok := row[k.Name]
		if !ok {
			i = len(t.Rows)
			row[k.Name] = i
			t.Rows = append(t.Rows, append([]string{k.Name}, make([]string, 2*len(levels))...))
		}
		if j := slices.Index(levels, k.Level); j >= 0 && k.GFLOPS > 0 {
			t.Rows[i][1+2*j], t.Rows[i][2+2*j] = us(k.GFLOPS), ratio(k.GFLOPS/r.roof(k))
		}
	}
	return t
}

func (b *builder) sweeps() {
	r := b.r
	s := section{Title: "Matrix products and convolutions against the limit"}
	add := func(name, xLabel string, names ...string) {
		c := chart{title: name + " over size", xLabel: xLabel, yLabel: "GFLOP/s, one core", xTicks: powers{2, short, 5}, yTicks: powers{4, plain, 0}, width: 360, height: 300, side: 112}
		for _, w := range r.Sweeps {
			if !slices.Contains(names, w.Name) {
				continue
			}
			for i, v := range w.GFLOPS {
				if v > 0 {
					c.widen(float64(w.Sizes[i]), v)
				}
			}
			peak, i := r.roof(KernelResult{Name: w.Name, Level: w.Level}), last(w.GFLOPS)
			if i < 0 || !(peak > 0) { // without limits it is no number
				continue
			}
			tone, label := series(slices.Index(levelNames, w.Level)), w.Level
			switch w.Name { // both are amx
			case sweepHalf:
				label = "exact"
			case sweepMedium:
				tone, label = series(0), "rounded"
			}
			ends := []float64{float64(w.Sizes[0]), float64(w.Sizes[len(w.Sizes)-1])}
			c.widen(ends[0], peak)
			best := slices.Max(w.GFLOPS)
			c.curves = append(c.curves,
				curve{x: ends, y: []float64{peak, peak}, ink: tone, dashed: true},
				curve{label: fmt.Sprintf("%s  %s", label, ratio(best/peak)), x: floats(w.Sizes), y: w.GFLOPS, ink: tone})
		}
		if len(c.curves) > 0 && c.xMax > c.xMin {
			b.panel(&s, name, c.draw)
		}
	}
	add("Matrix products n×n×n, float32", "n", sweepProduct)
	add("Matrix products with bfloat16 weights, in tiles", "n", sweepHalf, sweepMedium)
	add("Causal convolutions by FFT, 64 channels", "taps and tokens", sweepConv)
	s.Note = "Full lines are what is reached, dashed ones the limit of multiplying and adding at that level; the figure beside a name is the best part of the limit. A transform does few operations on each value that it moves, and the multiply-add limit counts two for every instruction, where most of a transform's are single: its lines stay further below."
	b.add(s)
}

func (b *builder) peers() {
	r := b.r
	s := section{Title: "The same work elsewhere"}
	lo, hi := 0.2, 2.0
	for _, p := range r.Peers {
		lo, hi = min(lo, p.Ratio()/1.2), max(hi, p.Ratio()*1.2)
	}
	t := table{Head: []string{"work", "library", "threads", "theirs, ms", "ours, ms", "ours / theirs"}}
	var order []string
	for _, p := range r.Peers {
		if !slices.Contains(order, p.Peer) {
			order = append(order, p.Peer)
		}
	}
	faster, all := 0, 0
	for _, name := range order {
		c := dotChart{title: "Our time over that of " + name, xLabel: "our time / theirs", ticks: powers{10, plain, 0}, lo: lo, hi: hi, mark: 1, right: 40, series: []string{threads(1)}}
		if hi/lo < 100 {
			c.ticks = powers{2, plain, 5}
		}
		if r.Cores > 1 {
			c.series = append(c.series, threads(r.Cores))
		}
		for _, p := range r.Peers {
			if p.Peer != name {
				continue
			}
			t.Rows = append(t.Rows, []string{p.Work, p.Peer, fmt.Sprint(p.Threads), us(p.Theirs / 1e3), us(p.Ours / 1e3), ratio(p.Ratio())})
			all++
			if p.Ratio() < 1 {
				faster++
			}
			if p.Threads > 1 {
				c.rows[len(c.rows)-1].values = append(c.rows[len(c.rows)-1].values, p.Ratio())
				continue
			}
			c.rows = append(c.rows, dotRow{strings.NewReplacer("softmax attention", "attention", " weights", "", "long convolution", "convolution").Replace(p.Work), []float64{p.Ratio()}, ratio(p.Ratio())})
		}
		b.panel(&s, name, c.draw)
	}
	if len(t.Rows) > 0 {
		t.Title = "The times"
		s.Tables = append(s.Tables, t)
		s.Note = fmt.Sprintf("The time of the same work here over its time elsewhere, both with buffers that are reused, in turns in one run: left of the line this module is faster, which holds for %d of %d. Products in bfloat16 round their activations to it on both sides, and have float32 results here.", faster, all)
	}
	if len(r.Models) > 0 {
		m := table{Head: []string{"model", "threads", "prompt, llama.cpp", "ours", "ours / theirs", "tokens one by one, llama.cpp", "ours", "ours / theirs"}}
		for _, x := range r.Models {
			m.Rows = append(m.Rows, []string{x.Model, fmt.Sprint(x.Threads), us(x.PromptRate), us(x.OurPrompt), ratio(x.OurPrompt / x.PromptRate), us(x.GenRate), us(x.OurGen), ratio(x.OurGen / x.GenRate)})
			if x.Note != "" && !slices.Contains(r.Absent, x.Note) {
				s.Note += " Not measured here: " + x.Note + "."
			}
		}
		s.Tables = append(s.Tables, m)
		s.Note += " Rates of models are tokens a second: above 1 is faster."
	}
	for _, a := range r.Absent {
		s.Note += " Not on this machine: " + a + "."
	}
	if len(s.Panels)+len(s.Tables) == 0 && len(r.Absent) > 0 {
		s.Tables = append(s.Tables, table{})
	}
	b.add(s)
}

func (b *builder) everything() {
	r := b.r
	s := section{Title: "All times", Note: "Microseconds a token."}
	times := func(name string, x []int, value func(l *LayerResult) []float64) {
		t := table{Title: name, Head: []string{"layer"}}
		some := false
		for _, n := range x {
			t.Head = append(t.Head, short(float64(n)))
		}
		for i := range r.Layers {
			row := []string{title(r.Layers[i].Name)}
			for _, v := range value(&r.Layers[i]) {
				row = append(row, us(v))
				some = some || v > 0
			}
			t.Rows = append(t.Rows, row)
		}
		if some {
			s.Tables = append(s.Tables, t)
		}
	}
	times("Forward, one thread, by tokens", r.Lengths, func(l *LayerResult) []float64 { return l.Forward })
	times(fmt.Sprintf("Forward, %s, by tokens", threads(r.Cores)), r.Lengths, func(l *LayerResult) []float64 { return l.ForwardAll })
	times("Forward and backward, one thread, by tokens", r.Lengths, func(l *LayerResult) []float64 { return l.Train })
	times("One more token, one thread, by tokens before", r.Depths, func(l *LayerResult) []float64 { return l.Decode })
	b.add(s)
}

func html(r, old *Result) ([]byte, error) {
	list, err := sections(r, old)
	if err != nil {
		return nil, err
	}
	t, err := template.New("page").Parse(pageSource)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"R": r, "Sections": list, "Took": (time.Duration(r.Seconds) * time.Second).String(), "Linear": len(crossings(r))})
	return b.Bytes(), err
}
