// Package program is the part of gomlxcompat that depends on the XLA backend. It is a package of
// its own because package gcml imports gomlxcompat and must not link XLA into its users' programs.
package program
