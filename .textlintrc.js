// The prose rules of `make lint`. README.md has the terms; here are the words that they replace.
// In a pattern, `\\s` also matches the line break of a wrapped sentence.
const terms = [
  // results
  ["judge(s|d)?", "evaluate$1"],
  ["judging", "evaluating"],
  ["judge?ment(s)?", "evaluation$1"],
  ["verdict(s)?", "decision$1"],
  ["outcomes?", "decision/conclusion"],
  ["let(?:s|ting)?\\s+through", "does not block"],
  ["(?:opens?|opened|opening|closes?|closed|closing)\\s+(?:a|the|its)(\\s+soft|\\s+hard)?\\s+gate", "passes/blocks"],
  ["gates?\\s+(?:is|are|stays?|that is|that are)?\\s*(?:open|opens|opened|closed|closes)", "does not block/blocks"],
  ["(?:open|opened|closed)(\\s+soft|\\s+hard)?\\s+gates?", "gate that does not block/blocks"],
  ["opened\\s+by", "approved by"],
  ["not\\s+affected", "skipped"],
  ["affected", "concerned"],
  // rules and settings
  ["(policy|file|that|which|it|stage|policies|whose\\s+files?)\\s+rul(?:es|ed)", "$1 applies"],
  ["rul(?:es|ed)\\s+(?:over|there|it)", "applies"],
  ["speaks?\\s+for", "supports"],
  ["bad\\s+settings", "invalid settings"],
  ["left\\s+open", "not set"],
  ["leaves\\s+open", "does not set"],
  ["hold(?:s)?\\s+to", "compare with"],
  ["held\\s+(?:to|against)", "compared with"],
  // verbs and phrases
  ["carr(?:y|ies|ied)", "contain"],
  ["(?:has|have|is|are)\\s+(?:it|they)\\s+(?:none|no)", "if it has none"],
  ["(?:tells?|told)", "say"],
  ["learnt", "learned"],
  ["misspelt", "misspelled"],
  ["whoever(?!\\s+maintains)", "anyone who"],
  ["somebody", "someone"],
  ["nobody", "no one"],
  ["for\\s+ever", "forever"],
  ["brought\\s+up\\s+to\\s+date", "updated"],
  ["said\\s+aloud", "written out"],
  ["come(?:s)?\\s+of\\s+it", "results"],
  ["hand(?:s|ed)?\\s+(?:over|on|it|its)", "pass"],
  ["switch(es|ed)?\\s+(on|off)", "turn $2"],
  ["so\\s+too", "also"],
  ["(?:several\\s+)?by\\s+comma", "separated by commas"],
  ["mistakes?\\s+in", "problem in"],
  ["answers?\\s+of\\s+(?:a|the)\\s+backend", "response of the backend"],
  ["(is|was|were|been)\\s+cancelled", "$1 canceled"],
];
const proseTerms = [["cancell(ed|ing)", "cancel$1"]]; // of documents; the CI API has the status `cancelled`

module.exports = {
  plugins: { "@textlint/text": { extensions: [".yml", ".j2"] } },
  rules: process.env.COMMENTS
    ? { terminology: { terms, skip: [], defaultTerms: false } } // of code, in which `id:` and `docker` are names
    : {
        terminology: {
          terms: [...terms, ...proseTerms],
          skip: [],
          exclude: ["readme(s)?", "lock[- ]file(s)?", "blank line(s)?", "pre[- ]release(s)?"], // ours are right
        },
        "sentence-length": { max: 170 }, // characters: 25 to 30 words
      },
};
