// Package director carries out orders, and fills the scene: with what the fleets say of themselves, what the crowds of callers see, and
// what each event cost.
//
// It listens nowhere: package stage has the page and the control API, and serves the director's end of the crowds' streams. Figures are counted
// here from the crowds' own observations (meter), moves from their answers (moves); nothing is taken over from elsewhere or made up. Where an
// algorithm says which sessions move, it is asked for the endpoints that the fleet wrote, and for nothing that callers saw.
package director
