// Crier pushes messages from a business's servers to its users' browsers.
package main

import (
	"os"

	"crier/app/cli"
)

func main() {
	os.Exit(cli.Run(os.Args, os.Stdout, os.Stderr))
}
