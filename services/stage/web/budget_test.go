package web_test

import (
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/stage/web"
)

// budget is what all files of the page may weigh together, in bytes.
const budget = 300_000

func TestThePageIsLight(t *testing.T) {
	total := 0
	require.NoError(t, fs.WalkDir(web.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(web.Files, path)
		total += len(data)
		return err
	}))
	t.Logf("%d bytes", total)
	require.Less(t, total, budget)
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	elsewhere := regexp.MustCompile(`(?:src|href|url\(|import|from)\s*[=("']*\s*(?:https?:)?//|="/|` +
		`innerHTML|insertAdjacentHTML|document\.write`)
	require.NoError(t, fs.WalkDir(web.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, "vendor/") {
			return err
		}
		data, err := fs.ReadFile(web.Files, path)
		require.Empty(t, elsewhere.FindAllString(string(data), -1), "%s: URLs are relative, and data becomes text alone", path)
		return err
	}))
}

var token = regexp.MustCompile(`--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);`)

// TestContrast holds the colours to WCAG 2.2 AA: 4.5 for text, 3 for what has to be told apart from its ground.
func TestContrast(t *testing.T) {
	css, err := fs.ReadFile(web.Files, "css/tokens.css")
	require.NoError(t, err)
	colours := map[string][2]string{}
	for _, m := range token.FindAllStringSubmatch(string(css), -1) {
		colours[m[1]] = [2]string{m[2], m[3]}
	}
	require.Len(t, colours, strings.Count(string(css), "light-dark("), "every colour is read")

	grounds := []string{"bg", "surface", "raised", "band"}
	var pairs []pair
	for _, text := range []string{"ink", "muted", "accent", "good", "warn", "bad", "info"} {
		for _, ground := range grounds {
			pairs = append(pairs, pair{text, ground, 4.5})
		}
	}
	pairs = append(pairs, pair{"on-accent", "accent", 4.5})
	for _, filled := range []string{"ink", "warn", "bad"} {
		pairs = append(pairs, pair{"surface", filled, 4.5})
	}
	pods := []string{"pod-none"}
	for i := 1; i <= 8; i++ {
		pods = append(pods, fmt.Sprintf("pod-%d", i))
	}
	for _, mark := range append(pods, "edge") {
		for _, ground := range []string{"surface", "band"} {
			pairs = append(pairs, pair{mark, ground, 3})
		}
	}
	for _, p := range pairs {
		for i, theme := range []string{"light", "dark"} {
			require.Contains(t, colours, p.front)
			got := contrast(t, colours[p.front][i], colours[p.back][i])
			if got < p.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, less than %.1f", theme, p.front, p.back, got, p.least)
			}
		}
	}
}

type pair struct {
	front, back string
	least       float64
}

// contrast is WCAG's ratio, 1 to 21.
func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
