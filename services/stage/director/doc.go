// Package director carries out orders, and fills the scene: with what the fleets say of themselves, what the crowds of callers see, and
// what each event cost.
//
// It serves nobody: package stage has the page, the control API and the crowds' stream. Figures are counted here from the crowds' own
// observations; nothing is taken over from elsewhere or made up.
package director
