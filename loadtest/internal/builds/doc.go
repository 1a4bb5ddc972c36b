// Package builds says of which revision of the repository the programs in a run were, and makes a run of several revisions invalid: it
// would be measured with one program and explained by another. It starts and stops nothing.
package builds
