# PowerShell completion of crier: crier completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName crier, crier.exe -ScriptBlock {
	param($word, $line, $cursor)
	# The words before the cursor; the one that is being written only if it is a flag, as crier then answers for its beginning.
	$words = @($line.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor -or $_.Extent.EndOffset -eq $cursor -and $word.StartsWith('-') } | ForEach-Object { $_.ToString() })
	if ($words.Count -eq 0) { $words = @('crier') }
	if (-not $word.StartsWith('-') -and $words.Count -gt 1 -and $words[-1].StartsWith('-')) { return } # the value of a flag: files
	$rest = @($words | Select-Object -Skip 1) + '--generate-bash-completion'
	& $words[0] @rest 2>$null | Where-Object { $_ -like "$word*" } | ForEach-Object {
		[System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
	}
}
