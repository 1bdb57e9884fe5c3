// Holds queries against Kusto's own grammar and types: reads {tables: {name: schema}, queries:
// {name: text}} from standard input, and writes a list of what is wrong, each with the query's name.
const folder = process.argv[2];
require(`${folder}/bridge.min.js`);
require(`${folder}/Kusto.Language.Bridge.min.js`);
const { Symbols, GlobalState, KustoCode } = Kusto.Language;
const { tables, queries } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const list = new (System.Collections.Generic.List$1(Symbols.Symbol).ctor)();
for (const [name, schema] of Object.entries(tables)) {
  list.add(new Symbols.TableSymbol.$ctor7(name, schema, null));
}
const workspace = new Symbols.DatabaseSymbol.$ctor3("workspace", null, list, false);
const globals = GlobalState.Default.WithDatabase(workspace);
const wrong = [];
for (const [name, text] of Object.entries(queries)) {
  const found = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  for (let at = 0; at < found.Count; at += 1) {
    const { Severity, Message, Start, Length } = found.getItem(at);
    wrong.push(`${name}: ${Severity}: ${Message} (${text.slice(Start, Start + Length)})`);
  }
}
console.log(JSON.stringify(wrong));
