"""The command line: arguments, signals, exit codes, tables. The only room to print."""
