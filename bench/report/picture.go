package main

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// An ink is a colour that the page decides, by light and by dark mode: the SVG
// says var(--name).
type ink int

const (
	inkText ink = iota
	inkSoft
	inkGrid
	inkFaint // lines that are only there to compare with
	inkBack
	ink1 // and the next ones: the colours of lines
)

var inkNames = []string{"text", "soft", "grid", "faint", "back", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"}

// RGBA is a colour that stands for the ink until paint replaces it.
func (i ink) RGBA() (r, g, b, a uint32) { return color.RGBA{1, uint8(i), 0, 255}.RGBA() }

// series is the colour of the i-th line.
func series(i int) ink { return ink1 + ink(i%(len(inkNames)-int(ink1))) }

var (
	standIn   = regexp.MustCompile(`#01([0-9A-F]{2})00`)
	fontStyle = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:normal;font-style:normal;`)
)

// paint gives an SVG the page's colours and font, the page's width, and a
// name for those who cannot see it.
func paint(svg, label string) template.HTML {
	svg = svg[max(0, strings.Index(svg, "<svg")):]
	svg = standIn.ReplaceAllStringFunc(svg, func(s string) string {
		var i int
		if _, err := fmt.Sscanf(s[3:5], "%X", &i); err != nil || i >= len(inkNames) {
			return s
		}
		return "var(--" + inkNames[i] + ")"
	})
	svg = fontStyle.ReplaceAllString(svg, "")
	svg = strings.NewReplacer(`">`+markMiddle, `;text-anchor:middle">`, `">`+markEnd, `;text-anchor:end">`).Replace(svg)
	end := strings.Index(svg, ">")
	box := regexp.MustCompile(`viewBox="[^"]*"`).FindString(svg[:end])
	return template.HTML(`<svg role="img" aria-label="` + template.HTMLEscapeString(label) + `" ` + box + svg[end:])
}

// A curve is a line of a plot: y over x, where both are positive.
type curve struct {
	label  string // at its end; "" for none
	x, y   []float64
	ink    ink
	wide   bool
	dashed bool
}

// A dot is a single point, with a label beside it.
type dot struct {
	label string
	x, y  float64
	ink   ink
}

// A chart is a plot of curves and dots, labelled where they are: there is no legend.
type chart struct {
	title          string
	xLabel, yLabel string
	linearY        bool
	xTicks, yTicks plot.Ticker
	xMin, xMax     float64 // 0: those of the data
	yMin, yMax     float64
	width, height  vg.Length
	side           vg.Length // room for labels at the right
	curves         []curve
	dots           []dot
}

// The sizes of letters suit a plot that is shown about as wide as its width says.
const letters = 11

// wider is how much room letters may need beyond what they measure: the font of who looks may be another.
const wider = 1.13

func style(i ink, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{Color: i, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, letters), XAlign: x, YAlign: y, Handler: words}
}

// words writes text that is aligned by whoever shows it, with the font that is
// there, and not by the widths of a font that may not be.
var words = anchored{text.Plain{Fonts: font.DefaultCache}}

type anchored struct{ text.Plain }

// Marks before a text that paint turns into text-anchor.
const (
	markMiddle = "\ue000"
	markEnd    = "\ue001"
)

func (a anchored) Draw(c vg.Canvas, txt string, st text.Style, at vg.Point) {
	mark := ""
	switch {
	case txt == "":
		return
	case st.XAlign == text.XCenter:
		mark = markMiddle
	case st.XAlign == text.XRight:
		mark = markEnd
	}
	st.XAlign = text.XLeft
	a.Plain.Draw(c, mark+txt, st, at)
}

func (c chart) draw() (template.HTML, error) {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = c.xLabel, c.yLabel
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Scale = plot.LogScale{}
		a.LineStyle.Color, a.LineStyle.Width = inkGrid, 0.7
		a.Tick.LineStyle.Color, a.Tick.LineStyle.Width, a.Tick.Length = inkGrid, 0.7, 3
		a.Tick.Label = style(inkSoft, a.Tick.Label.XAlign, a.Tick.Label.YAlign)
		a.Label.TextStyle = style(inkSoft, a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign)
		a.Padding, a.Label.Padding = 4, 2
	}
	p.Y.Label.Text = "" // said above the axis, where it can be read
	p.X.Tick.Marker, p.Y.Tick.Marker = c.xTicks, c.yTicks
	if c.linearY {
		p.Y.Scale = plot.LinearScale{}
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = inkGrid, inkGrid
	grid.Horizontal.Width, grid.Vertical.Width = 0.5, 0.5
	grid.Horizontal.Dashes, grid.Vertical.Dashes = nil, nil
	p.Add(grid)
	type end struct {
		label string
		y     float64
		ink   ink
	}
	var ends []end
	for _, l := range c.curves {
		pts := points(l.x, l.y)
		if len(pts) == 0 {
			continue
		}
		ln, err := plotter.NewLine(pts)
		if err != nil {
			return "", fmt.Errorf("%s, %s: %w", c.title, l.label, err)
		}
		ln.Color, ln.Width = l.ink, 1.6
		switch {
		case l.wide:
			ln.Width = 2.6
		case l.ink == inkFaint:
			ln.Width = 0.8
		}
		if l.dashed {
			ln.Dashes = []vg.Length{4, 3}
		}
		p.Add(ln)
		if l.label != "" {
			ends = append(ends, end{l.label, pts[len(pts)-1].Y, l.ink})
		}
	}
	for _, d := range c.dots {
		s, err := plotter.NewScatter(plotter.XYs{{X: d.x, Y: d.y}})
		if err != nil {
			return "", fmt.Errorf("%s, %s: %w", c.title, d.label, err)
		}
		s.GlyphStyle = draw.GlyphStyle{Color: d.ink, Radius: 3.2, Shape: draw.CircleGlyph{}}
		p.Add(s)
	}
	set := func(a *plot.Axis, lo, hi float64) {
		if lo != 0 || hi != 0 {
			a.Min, a.Max = lo, hi
		}
	}
	set(&p.X, c.xMin, c.xMax)
	set(&p.Y, c.yMin, c.yMax)

	canvas := vgsvg.New(c.width, c.height)
	all := draw.New(canvas)
	all.FillText(style(inkSoft, text.XLeft, text.YTop), vg.Point{X: 0, Y: c.height - 1}, c.yLabel)
	area := draw.Crop(all, 4, -c.side, 0, -letters-7)
	p.Draw(area)
	data := p.DataCanvas(area)
	tx, ty := p.Transforms(&data)

	// Labels at the ends of lines, moved apart.
	slices.SortStableFunc(ends, func(a, b end) int {
		switch {
		case a.y < b.y:
			return -1
		case a.y > b.y:
			return 1
		}
		return 0
	})
	at := make([]float64, len(ends))
	for i, e := range ends {
		at[i] = float64(ty(e.y))
	}
	for i, y := range spread(at, letters+1.5, float64(data.Min.Y), float64(c.height)-letters-4) {
		x := data.Max.X
		all.StrokeLine2(draw.LineStyle{Color: ends[i].ink, Width: 0.5}, x+2, vg.Length(at[i]), x+9, vg.Length(y))
		all.FillText(style(labelInk(ends[i].ink), text.XLeft, text.YCenter), vg.Point{X: x + 12, Y: vg.Length(y)}, ends[i].label)
	}
	// Labels beside dots, where there is room.
	var taken []box
	for _, d := range c.dots {
		x, y := float64(tx(d.x)), float64(ty(d.y))
		taken = append(taken, box{x - 3, y - 3, x + 3, y + 3})
	}
	for _, d := range c.dots {
		x, y := float64(tx(d.x)), float64(ty(d.y))
		st := style(labelInk(d.ink), text.XLeft, text.YBottom)
		w := wider * float64(st.Width(d.label))
		b := place(x, y, w, letters-2, taken, box{float64(data.Min.X), float64(data.Min.Y), float64(c.width), float64(data.Max.Y) + letters})
		taken = append(taken, b)
		all.FillText(st, vg.Point{X: vg.Length(b.x0), Y: vg.Length(b.y0) - 1}, d.label)
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return "", err
	}
	return paint(svg.String(), c.title), nil
}

// labelInk is the ink of words about something drawn in another.
func labelInk(i ink) ink {
	if i == inkFaint {
		return inkSoft
	}
	return i
}

func points(x, y []float64) (pts plotter.XYs) {
	for i := range x {
		if x[i] > 0 && y[i] > 0 {
			pts = append(pts, plotter.XY{X: x[i], Y: y[i]})
		}
	}
	return pts
}

// spread moves sorted positions apart, to be at least gap from one another and
// within lo and hi if they fit, as little as that takes.
func spread(at []float64, gap, lo, hi float64) []float64 {
	out := slices.Clone(at)
	// Neighbours that overlap form groups, each about the mean of where its members would be.
	type group struct {
		sum float64 // of position − index·gap
		n   int
	}
	var groups []group
	first := func(g group) float64 {
		return math.Max(lo, math.Min(g.sum/float64(g.n), hi-gap*float64(g.n-1)))
	}
	for _, v := range at {
		groups = append(groups, group{v, 1})
		for len(groups) > 1 {
			a, b := groups[len(groups)-2], groups[len(groups)-1]
			if first(a)+gap*float64(a.n) <= first(b) {
				break
			}
			groups = append(groups[:len(groups)-2], group{a.sum + b.sum - gap*float64(a.n*b.n), a.n + b.n})
		}
	}
	i := 0
	for _, g := range groups {
		for j := range g.n {
			out[i] = first(g) + gap*float64(j)
			i++
		}
	}
	return out
}

// A box is a rectangle that is taken.
type box struct{ x0, y0, x1, y1 float64 }

// overlap is the area that two boxes share.
func (a box) overlap(b box) float64 {
	return math.Max(0, math.Min(a.x1, b.x1)-math.Max(a.x0, b.x0)) * math.Max(0, math.Min(a.y1, b.y1)-math.Max(a.y0, b.y0))
}

// place finds room for w×h beside a point, within the page: the nearest
// place that overlaps least with what is taken.
func place(x, y, w, h float64, taken []box, page box) box {
	best, least := box{}, math.Inf(1)
	for _, r := range []float64{5, 9, 14, 20} {
		for k := range 12 {
			sin, cos := math.Sincos(float64(k) * math.Pi / 6)
			cx, cy := x+cos*(r+w/2), y+sin*(r+h/2)
			b := box{cx - w/2, cy - h/2, cx + w/2, cy + h/2}
			cost := 0.3 * r
			for _, t := range taken {
				cost += b.overlap(t)
			}
			cost += 10 * (w*h - b.overlap(page))
			if cost < least {
				best, least = b, cost
			}
		}
	}
	return best
}

// A dotRow is a row of dots on a common axis.
type dotRow struct {
	label  string
	values []float64 // one for each series; 0 for none
	right  string    // said at the right
}

// A dotChart has a labelled row for each thing and dots on a logarithmic axis.
type dotChart struct {
	title  string
	xLabel string
	ticks  plot.Ticker
	lo, hi float64
	mark   float64   // a line across all rows; 0 for none
	right  vg.Length // room for what is said there
	series []string  // the first dots are full, the next ones rings
	rows   []dotRow
}

func (c dotChart) draw() (template.HTML, error) {
	const width, row, top, bottom = 360, 17, 26, 40
	height := vg.Length(top + bottom + row*len(c.rows))
	canvas := vgsvg.New(width, height)
	all := draw.New(canvas)
	left := vg.Length(0)
	for _, r := range c.rows {
		left = max(left, wider*style(inkText, text.XRight, text.YCenter).Width(r.label)+12)
	}
	x := func(v float64) vg.Length {
		f := (math.Log(v) - math.Log(c.lo)) / (math.Log(c.hi) - math.Log(c.lo))
		return left + vg.Length(f)*(width-left-c.right)
	}
	for _, t := range c.ticks.Ticks(c.lo, c.hi) {
		all.StrokeLine2(draw.LineStyle{Color: inkGrid, Width: 0.6}, x(t.Value), bottom-5, x(t.Value), height-top+4)
		all.FillText(style(inkSoft, text.XCenter, text.YTop), vg.Point{X: x(t.Value), Y: bottom - 8}, t.Label)
	}
	all.FillText(style(inkSoft, text.XCenter, text.YBottom), vg.Point{X: (left + width - c.right) / 2, Y: 4}, c.xLabel)
	if c.mark > 0 {
		all.StrokeLine2(draw.LineStyle{Color: inkText, Width: 1}, x(c.mark), bottom-4, x(c.mark), height-top+4)
	}
	circle := func(i int, at vg.Point) {
		g := draw.GlyphStyle{Color: series(i), Radius: 3.6, Shape: draw.CircleGlyph{}}
		if i > 0 {
			g.Radius = 2.9
			all.DrawGlyph(draw.GlyphStyle{Color: inkBack, Radius: 2.9, Shape: draw.CircleGlyph{}}, at)
			var p vg.Path
			p.Move(vg.Point{X: at.X + g.Radius, Y: at.Y})
			p.Arc(at, g.Radius, 0, 2*math.Pi)
			p.Close()
			all.SetColor(g.Color)
			all.SetLineWidth(1.4)
			all.SetLineDash(nil, 0)
			all.Stroke(p)
			return
		}
		all.DrawGlyph(g, at)
	}
	legend := left
	if len(c.series) > 1 {
		for i, name := range c.series {
			circle(i, vg.Point{X: legend + 4, Y: height - 9})
			st := style(inkText, text.XLeft, text.YCenter)
			all.FillText(st, vg.Point{X: legend + 12, Y: height - 9}, name)
			legend += st.Width(name) + 28
		}
	}
	for i, r := range c.rows {
		y := height - top - vg.Length(row*i) - row/2
		all.FillText(style(inkText, text.XRight, text.YCenter), vg.Point{X: left - 8, Y: y}, r.label)
		all.FillText(style(inkSoft, text.XRight, text.YCenter), vg.Point{X: width - 2, Y: y}, r.right)
		lo, hi := math.Inf(1), 0.0
		for _, v := range r.values {
			if v > 0 {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
		if hi > 0 {
			all.StrokeLine2(draw.LineStyle{Color: inkFaint, Width: 1}, x(lo), y, x(hi), y)
		}
		for j, v := range slices.Backward(r.values) {
			if v > 0 {
				circle(j, vg.Point{X: x(v), Y: y})
			}
		}
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return "", err
	}
	return paint(svg.String(), c.title), nil
}

// powers are ticks at the powers of a base, fewer where there is no room for all.
type powers struct {
	base  float64
	label func(v float64) string
	most  int // labels; 0: all
}

func (t powers) Ticks(lo, hi float64) (ticks []plot.Tick) {
	from, to := math.Floor(math.Log(lo)/math.Log(t.base)), math.Ceil(math.Log(hi)/math.Log(t.base))
	for e := from; e <= to; e++ {
		v := math.Pow(t.base, e)
		if v >= lo*0.999 && v <= hi*1.001 {
			ticks = append(ticks, plot.Tick{Value: v, Label: t.label(v)})
		}
	}
	if t.most > 0 {
		every := (len(ticks) + t.most - 1) / t.most
		for i := range ticks {
			if every > 1 && i%every != 0 {
				ticks[i].Label = ""
			}
		}
	}
	return ticks
}

// plain is a number as it is, with few digits.
func plain(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
