import { useLingui } from '@lingui/react/macro';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { Suspense, useMemo } from 'react';
import { facetsQuery } from '../api/queries';
import { lazyPart } from '../app/lazily';
import { bucketsOf, type FacetsProps } from './facets';
import classes from './IncidentHistogram.module.css';

const Histogram = lazyPart(() => import('../search/Histogram'));
const route = getRouteApi('/incidents');

/** When the incidents of the list happened; draw over it to see a stretch of time alone. */
export function IncidentHistogram({ filter, wanted }: FacetsProps) {
  const { t } = useLingui();
  const navigate = route.useNavigate();
  const { data, isError } = useQuery({ ...facetsQuery(filter), enabled: wanted });
  const buckets = useMemo(() => (data ? bucketsOf(data.histogram) : null), [data]);
  if (isError) return null;
  const choose = (from: number, to: number) =>
    void navigate({
      search: (before) => ({ ...before, from: new Date(from).toISOString(), to: new Date(to).toISOString() }),
    });
  return (
    <div className={classes.place} data-testid="incident-histogram">
      {buckets && (
        <Suspense fallback={null}>
          <Histogram buckets={buckets} label={t`${data?.total ?? 0} incidents over time`} onChoose={choose} />
        </Suspense>
      )}
    </div>
  );
}
