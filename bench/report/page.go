package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

//go:embed page.html
var pageSource string

// A figure is a plot with what it shows.
type figure struct {
	Title, Note string
	SVG         template.HTML
}

// A line of a plot: y over x, where y is positive.
type line struct {
	name string
	x, y []float64
	dots bool
}

func picture(title, xLabel, yLabel string, logX, logY bool, lines []line) (template.HTML, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = xLabel, yLabel
	legend := plot.NewLegend() // beside the plot: there are many lines
	legend.Top, legend.Left = true, true
	p.Add(plotter.NewGrid())
	if logX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks(xLabel)
	}
	if logY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, ticks(yLabel)
	}
	for i, l := range lines {
		var pts plotter.XYs
		for j := range l.x {
			if l.y[j] > 0 && l.x[j] > 0 {
				pts = append(pts, plotter.XY{X: l.x[j], Y: l.y[j]})
			}
		}
		if len(pts) == 0 {
			continue
		}
		if l.dots {
			s, err := plotter.NewScatter(pts)
			if err != nil {
				return "", err
			}
			s.GlyphStyle = draw.GlyphStyle{Color: plotutil.Color(i), Radius: 4, Shape: plotutil.Shape(i)}
			p.Add(s)
			legend.Add(l.name, s)
			continue
		}
		ln, s, err := plotter.NewLinePoints(pts)
		if err != nil {
			return "", err
		}
		ln.Color, ln.Dashes, ln.Width = plotutil.Color(i), plotutil.Dashes(i/6), 1.5
		s.Color, s.Shape, s.Radius = plotutil.Color(i), plotutil.Shape(i), 2.5
		p.Add(ln, s)
		legend.Add(l.name, ln, s)
	}
	const width, height, side = 9 * vg.Inch, 6 * vg.Inch, 2.2 * vg.Inch
	c := vgsvg.New(width, height)
	all := draw.New(c)
	p.Draw(draw.Crop(all, 0, -side, 0, 0))
	legend.Draw(draw.Crop(all, width-side+0.1*vg.Inch, 0, 0, 0))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	svg := b.String()
	if i := strings.Index(svg, "<svg"); i > 0 {
		svg = svg[i:]
	}
	// A picture that scales with the page, and says what it is.
	svg = strings.Replace(svg, "<svg ", `<svg role="img" aria-label="`+template.HTMLEscapeString(title)+`" style="max-width:100%;height:auto" `, 1)
	return template.HTML(svg), nil
}

// ticks suit what an axis counts: lengths by doublings, bytes by sixteens, the rest by tens.
func ticks(label string) powers {
	plain := func(v float64) string { return fmt.Sprintf("%g", v) }
	switch label {
	case "tokens", "tokens before":
		return powers{2, short}
	case "bytes":
		return powers{16, short}
	case "operations a byte":
		return powers{4, plain}
	}
	return powers{10, plain}
}

// powers are ticks at the powers of a base.
type powers struct {
	base  float64
	label func(v float64) string
}

func (t powers) Ticks(lo, hi float64) (ticks []plot.Tick) {
	from, to := math.Floor(math.Log(lo)/math.Log(t.base)), math.Ceil(math.Log(hi)/math.Log(t.base))
	for e := from; e <= to; e++ {
		v := math.Pow(t.base, e)
		if v >= lo*0.999 && v <= hi*1.001 {
			ticks = append(ticks, plot.Tick{Value: v, Label: t.label(v)})
		}
	}
	return ticks
}

// short is a number with k or M, as lengths and sizes are read.
func short(v float64) string {
	switch {
	case v >= 1<<30:
		return fmt.Sprintf("%.3gG", v/(1<<30))
	case v >= 1<<20:
		return fmt.Sprintf("%.3gM", v/(1<<20))
	case v >= 1<<10:
		return fmt.Sprintf("%.3gk", v/(1<<10))
	}
	return fmt.Sprintf("%.3g", v)
}

func floats(n []int) []float64 {
	out := make([]float64, len(n))
	for i, v := range n {
		out[i] = float64(v)
	}
	return out
}

// slope is the exponent of y over x in the last measured octaves.
func slope(x, y []float64) float64 {
	var lx, ly []float64
	for i := range x {
		if y[i] > 0 {
			lx, ly = append(lx, math.Log(x[i])), append(ly, math.Log(y[i]))
		}
	}
	if n := len(lx); n > 4 {
		lx, ly = lx[n-4:], ly[n-4:]
	}
	if len(lx) < 2 {
		return 0
	}
	_, b := stat.LinearRegression(lx, ly, nil, false)
	return b
}

// A crossover is the length from which a layer is cheaper than softmax attention.
type crossover struct {
	Name    string
	Length  string
	State   string // at the longest length
	Slope   string
	Forward string
}

func crossovers(r *Result) (rows []crossover) {
	var q *LayerResult
	for i := range r.Layers {
		if r.Layers[i].Quadratic {
			q = &r.Layers[i]
		}
	}
	last := len(r.Lengths) - 1
	for _, l := range r.Layers {
		c := crossover{Name: l.Name, Length: "never here", Slope: fmt.Sprintf("%.2f", slope(floats(r.Lengths), l.Forward))}
		if state := l.State[last]; state > 0 {
			c.State = short(float64(state))
		} else {
			c.State = short(float64(r.Lengths[last]) * float64(2*4*r.Width)) // keys and values
		}
		if l.Forward[last] > 0 {
			c.Forward = fmt.Sprintf("%.2f", l.Forward[last])
		}
		if q != nil && !l.Quadratic {
			for i := range r.Lengths {
				if q.Forward[i] > 0 && l.Forward[i] < q.Forward[i] {
					c.Length = crossing(r.Lengths, l.Forward, q.Forward, i)
					break
				}
			}
		}
		if l.Quadratic {
			c.Length = ""
		}
		rows = append(rows, c)
	}
	return rows
}

// crossing is where two curves meet before length i, on the logarithmic scale.
func crossing(lengths []int, a, b []float64, i int) string {
	if i == 0 {
		return fmt.Sprintf("below %d", lengths[0])
	}
	d0, d1 := math.Log(a[i-1]/b[i-1]), math.Log(a[i]/b[i])
	f := d0 / (d0 - d1)
	return fmt.Sprintf("%.0f", float64(lengths[i-1])*math.Pow(float64(lengths[i])/float64(lengths[i-1]), f))
}

func figures(r, before *Result) (figs []figure, err error) {
	add := func(title, note, xLabel, yLabel string, logX, logY bool, lines []line) {
		if err != nil || len(lines) == 0 {
			return
		}
		var svg template.HTML
		svg, err = picture(title, xLabel, yLabel, logX, logY, lines)
		figs = append(figs, figure{title, note, svg})
	}
	x := floats(r.Lengths)
	over := func(value func(l LayerResult) []float64, slopes bool) (lines []line) {
		for _, l := range r.Layers {
			y, name := value(l), l.Name
			if slopes {
				name = fmt.Sprintf("%s  n^%.2f", name, slope(x, y))
			}
			lines = append(lines, line{name: name, x: x[:len(y)], y: y})
		}
		return lines
	}
	add("Time for a token, forward", "Both axes logarithmic; the exponent is that of the last octaves: 0 is flat, 1 grows with the length.", "tokens", "µs", true, true,
		over(func(l LayerResult) []float64 { return l.Forward }, true))
	add("Time for a token, forward and backward", "Whole sequences with gradients of the input and of every weight.", "tokens", "µs", true, true,
		over(func(l LayerResult) []float64 { return l.Train }, false))
	add("State after so many tokens", "What a layer remembers of a sequence: constant, but for softmax attention, whose keys and values grow.", "tokens", "bytes", true, true,
		over(func(l LayerResult) []float64 { return floats(l.State) }, false))
	add("Memory of a forward pass", "Intermediate results; long sequences go through in pieces.", "tokens", "bytes", true, true,
		over(func(l LayerResult) []float64 { return floats(l.Memory) }, false))
	var decode []line
	for _, l := range r.Layers {
		decode = append(decode, line{name: l.Name, x: depthsAsPositive(r.Depths), y: l.Decode})
	}
	add("A single token at depth", "Time for one more token after so many (1 stands for none), one thread.", "tokens before", "µs", true, true, decode)

	var roof []line
	for _, level := range []string{"avx2", "avx512", "amx", "neon"} {
		lim, ok := r.Limits[level]
		if !ok {
			continue
		}
		l := line{name: "limit, " + level}
		for i := -6.0; i <= 10; i += 0.25 {
			intensity := math.Pow(2, i)
			l.x, l.y = append(l.x, intensity), append(l.y, math.Min(lim.GFLOPS, intensity*lim.GBs))
		}
		roof = append(roof, l)
	}
	byName := map[string]int{}
	for _, k := range r.Kernels {
		if k.Level != r.Level {
			continue
		}
		if _, ok := byName[k.Name]; !ok {
			byName[k.Name] = len(roof)
			roof = append(roof, line{name: k.Name, dots: true})
		}
		l := &roof[byName[k.Name]]
		l.x, l.y = append(l.x, 1/k.Bytes), append(l.y, k.GFLOPS)
	}
	add("Kernels under the roof", "Operations a second over operations a byte, one core. Above the slope: the data came from a cache.", "operations a byte", "GFLOP/s", true, true, roof)

	if before != nil {
		var change []line
		for _, l := range r.Layers {
			for _, o := range before.Layers {
				if o.Name != l.Name {
					continue
				}
				c := line{name: l.Name}
				for i, n := range r.Lengths {
					for j, m := range before.Lengths {
						if n == m && o.Forward[j] > 0 {
							c.x, c.y = append(c.x, float64(n)), append(c.y, l.Forward[i]/o.Forward[j])
						}
					}
				}
				change = append(change, c)
			}
		}
		add("Against the earlier run", "Time for a token, forward, now over then: below 1 is faster.", "tokens", "now / then", true, false, change)
	}
	return figs, err
}

func depthsAsPositive(d []int) []float64 {
	out := floats(d)
	for i := range out {
		out[i] = max(out[i], 1)
	}
	return out
}

// A kernelRow is one kernel at every level, as fractions of the level's limit.
type kernelRow struct {
	Name  string
	Cells []string
}

func kernelTable(r *Result) (levels []string, rows []kernelRow) {
	at := map[string]int{}
	for _, k := range r.Kernels {
		i, ok := at[k.Level]
		if !ok {
			i = len(levels)
			at[k.Level], levels = i, append(levels, k.Level)
		}
		if len(rows) == 0 || rows[len(rows)-1].Name != k.Name {
			rows = append(rows, kernelRow{Name: k.Name})
		}
		row := &rows[len(rows)-1]
		lim := r.Limits[k.Level]
		roof := math.Min(lim.GFLOPS, lim.GBs/k.Bytes)
		row.Cells = append(row.Cells, fmt.Sprintf("%.0f GFLOP/s, %.2f of the roof", k.GFLOPS, k.GFLOPS/roof))
		_ = i
	}
	return levels, rows
}

func html(r, before *Result) ([]byte, error) {
	figs, err := figures(r, before)
	if err != nil {
		return nil, err
	}
	t, err := template.New("page").Funcs(template.FuncMap{"ratio": func(a, b float64) string { return fmt.Sprintf("%.2f", a/b) }}).Parse(pageSource)
	if err != nil {
		return nil, err
	}
	levels, rows := kernelTable(r)
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"R": r, "Figures": figs, "Crossovers": crossovers(r), "Levels": levels, "Kernels": rows, "Longest": r.Lengths[len(r.Lengths)-1]})
	return b.Bytes(), err
}

func markdown(r *Result) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Measured %s\n\n%s, %s, %d threads, layers of %d channels.\n\n", r.Date, r.CPU, r.Level, r.Threads, r.Width)
	fmt.Fprint(&b, "Time for a token, forward, µs:\n\n| layer |")
	for _, n := range r.Lengths {
		fmt.Fprintf(&b, " %s |", short(float64(n)))
	}
	fmt.Fprint(&b, " exponent | cheaper than softmax from | state |\n|---|", strings.Repeat("---|", len(r.Lengths)+3), "\n")
	for i, c := range crossovers(r) {
		fmt.Fprintf(&b, "| %s |", c.Name)
		for _, v := range r.Layers[i].Forward {
			if v > 0 {
				fmt.Fprintf(&b, " %.2f |", v)
			} else {
				fmt.Fprint(&b, " |")
			}
		}
		fmt.Fprintf(&b, " %s | %s | %s |\n", c.Slope, c.Length, c.State)
	}
	levels, rows := kernelTable(r)
	fmt.Fprintf(&b, "\n| kernel | %s |\n|---|%s\n", strings.Join(levels, " | "), strings.Repeat("---|", len(levels)))
	for _, k := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", k.Name, strings.Join(k.Cells, " | "))
	}
	if len(r.Peers) > 0 {
		fmt.Fprint(&b, "\n| work | elsewhere | theirs, µs | ours, µs | ours / theirs |\n|---|---|---|---|---|\n")
		for _, p := range r.Peers {
			fmt.Fprintf(&b, "| %s | %s | %.0f | %.0f | %.2f |\n", p.Work, p.Peer, p.Theirs, p.Ours, p.Ours/p.Theirs)
		}
	}
	for _, a := range r.Absent {
		fmt.Fprintf(&b, "\nNot here: %s.\n", a)
	}
	return b.Bytes()
}
