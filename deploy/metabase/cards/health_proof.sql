SELECT topic, partition, records_in, records_out AS events, duplicates, dead AS refused,
       records_in - records_out - duplicates - dead AS missing
FROM reporting.count_proof
ORDER BY topic, partition
